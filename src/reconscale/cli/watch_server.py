"""Serves one page and the files beside it, from memory: no name that is asked for is ever looked up on the disk."""

from __future__ import annotations

import ipaddress
import json
import socket
import sys
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from urllib.parse import urlsplit

from reconscale.cli.watch_report import Shown
from reconscale.errors import UserError

TYPES = {"csv": "text/csv; charset=utf-8", "json": "application/json", "png": "image/png", "svg": "image/svg+xml"}
"""End of a file's name -> what it is."""
HEADERS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""What every answer says: no other page may read or frame it. There is no header that would allow one to."""
NO_SCRIPT = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
"""The policy of what is not the page, which has its own."""
IDLE = 10
"""Seconds after which a connection that asks nothing is closed."""


class PageServer(ThreadingHTTPServer):
    """Answers with what is shown now.

    Args:
        host: the address to listen on.
        port: 0: any that is free.
        shown: what is served.

    Raises:
        UserError: the address cannot be listened on.
    """

    daemon_threads = True

    def __init__(self, host: str, port: int, shown: Callable[[], Shown]) -> None:
        self.shown, self.host = shown, host
        names = {host.lower(), "localhost"}
        self._names = (
            names if is_loopback(host) else {*names, *(n.lower() for n in (socket.gethostname(), socket.getfqdn()))}
        )
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            super().__init__((host, port), _Answer)
        except (OSError, OverflowError) as error:
            where = f"--host {host} --port {port}"
            reason = getattr(error, "strerror", None) or str(error)
            raise UserError(where, f"cannot be listened on ({reason})", "try --port 0: any that is free") from error

    def server_bind(self) -> None:
        """Bind the socket; the name of the machine is not looked up, which may take seconds."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = self.host, self.server_address[1]

    @property
    def url(self) -> str:
        """The address of the page."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)
        return f"http://{f'[{host}]' if ':' in host else host}:{self.server_port}/"

    def is_own(self, name: str) -> bool:
        """Whether a request names this server, and not a name of somebody else that leads here (DNS rebinding).

        Addresses are no such names. The port does not matter: SSH may forward another one.
        """
        try:
            host = urlsplit(f"//{name}").hostname or ""
        except ValueError:
            return False
        if host in self._names:
            return True
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            return False
        return address.is_loopback or not is_loopback(self.host)

    def handle_error(self, request: object, client_address: object) -> None:
        """Say what went wrong, unless the reader has gone away."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


def is_loopback(host: str) -> bool:
    """Whether only programs of this machine can reach the address."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class _Answer(BaseHTTPRequestHandler):
    """One request: the page, how far the study is, or a file beside the page."""

    timeout = IDLE
    server: PageServer

    def do_GET(self) -> None:
        if not self.server.is_own(self.headers.get("Host", "")):
            self._say(HTTPStatus.FORBIDDEN, f"Open {self.server.url}: this server answers to no other name.")
            return
        shown, path = self.server.shown(), self.path.partition("?")[0]
        if path in ("/", "/report.html"):
            self._send(shown.page.encode(), "text/html; charset=utf-8")
        elif path == "/status.json":
            record = {"page": shown.revision, "line": shown.line, "trouble": shown.trouble}
            self._send(json.dumps(record).encode(), "application/json", NO_SCRIPT)
        elif path[1:] in shown.files:
            kind = TYPES.get(path.rpartition(".")[2], "application/octet-stream")
            self._send(shown.files[path[1:]], kind, NO_SCRIPT)
        else:
            self._say(HTTPStatus.NOT_FOUND, "There is nothing of this name.")

    def do_HEAD(self) -> None:
        self.do_GET()

    def _say(self, status: HTTPStatus, text: str) -> None:
        self._send(f"{text}\n".encode(), "text/plain; charset=utf-8", NO_SCRIPT, status)

    def _send(self, content: bytes, kind: str, policy: str = "", status: HTTPStatus = HTTPStatus.OK) -> None:
        self.send_response(status)
        policies = {"Content-Security-Policy": policy} if policy else {}
        for name, value in (HEADERS | policies | {"Content-Type": kind, "Content-Length": str(len(content))}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def version_string(self) -> str:
        return "reconscale"

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing: every browser asks once a second."""
