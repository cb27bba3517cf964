"""A server on Python's standard library: a page, a health check, and an orderly end on SIGTERM."""

import html
import json
import os
import platform
import signal
import sys
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from string import Template

PAGE = Template((Path(__file__).parent / "page.html").read_text(encoding="utf-8"))


class Handler(BaseHTTPRequestHandler):
    # HTTP/1.0: one request a connection, so that after SIGTERM no idle connection holds the process back.
    server_version = "python-server"
    timeout = 30

    def do_GET(self):
        if self.path == "/":
            self.reply(HTTPStatus.OK, "text/html; charset=utf-8", render())
        elif self.path == "/healthz":
            self.reply(HTTPStatus.OK, "application/json", json.dumps({"status": "ok"}))
        else:
            self.reply(HTTPStatus.NOT_FOUND, "text/plain; charset=utf-8", "Not found\n")

    do_HEAD = do_GET

    def reply(self, status, content_type, text):
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def render():
    facts = {"kernel": platform.release(), "runtime": f"Python {platform.python_version()}", "machine": platform.node()}
    return PAGE.substitute({name: html.escape(value) for name, value in facts.items()})


def main():
    port = int(os.environ.get("PORT", "3000"))
    server = ThreadingHTTPServer(("", port), Handler)
    server.daemon_threads = False

    def stop(number, frame):
        print("SIGTERM: finishing open requests", flush=True)
        # shutdown() waits for the loop that this handler interrupted, so another thread must call it.
        threading.Thread(target=server.shutdown).start()

    signal.signal(signal.SIGTERM, stop)
    print(f"listening on port {port}", flush=True)
    server.serve_forever(poll_interval=0.1)
    server.socket.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
