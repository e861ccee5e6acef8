"""Tells how Python's own HTTP server reads a request: in X-Read, as base64 of JSON."""

import base64
import http.server
import json
import sys


class Reader(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        told = {"method": self.command, "target": self.path, "body": body.decode("latin1")}
        self.send_response(200)
        self.send_header("X-Read", base64.b64encode(json.dumps(told).encode()).decode())
        self.send_header("Content-Length", "0")
        self.end_headers()

    def __getattr__(self, name):
        if name.startswith("do_"):
            return self.answer
        raise AttributeError(name)

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Reader)
print(server.server_address[1], flush=True)
sys.stdin.close()
server.serve_forever()
