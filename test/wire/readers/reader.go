// Tells how Go's own HTTP server reads a request: in X-Read, as base64 of JSON.
package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
)

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	panic(http.Serve(listener, http.HandlerFunc(func(answer http.ResponseWriter, request *http.Request) {
		bytes, _ := io.ReadAll(request.Body)
		body := make([]rune, len(bytes))
		for at, one := range bytes {
			body[at] = rune(one)
		}
		told, _ := json.Marshal(map[string]string{"method": request.Method, "target": request.RequestURI, "body": string(body)})
		answer.Header().Set("X-Read", base64.StdEncoding.EncodeToString(told))
	})))
}
