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
		body, _ := io.ReadAll(request.Body)
		told, _ := json.Marshal(map[string]string{
			"method": request.Method,
			"target": latin1([]byte(request.RequestURI)),
			"body":   latin1(body),
		})
		answer.Header().Set("X-Read", base64.StdEncoding.EncodeToString(told))
	})))
}

// latin1 gives a character for each byte.
func latin1(bytes []byte) string {
	text := make([]rune, len(bytes))
	for at, one := range bytes {
		text[at] = rune(one)
	}
	return string(text)
}
