"""A server of a few files on this machine's own loopback, for a browser on the same machine and nobody else."""

from __future__ import annotations

import contextlib
import hashlib
import os
import socket
import stat
import threading
from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from dlkit.errors import DlkitError
from dlkit.filing import read_file
from dlkit.web.policy import CONTENT_SECURITY_POLICY

LOOPBACK = "127.0.0.1"
LARGEST_BYTES = 2**31
"""Of one file, or of one answer."""
IDLE_S = 30.0
"""After which a connection is closed on which nothing comes."""
ASKING_S = 60.0
"""After which nothing more is read from whoever has not asked to the end, however steadily it drips in."""
MOST_CONNECTIONS = 64
"""At once; a browser opens 6 to one server."""
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".json": "application/json",
    ".txt": "text/plain; charset=utf-8",
    ".svg": "image/svg+xml",
    ".wasm": "application/wasm",
}
HEADERS = {
    "Content-Security-Policy": f"{CONTENT_SECURITY_POLICY}; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",
}
LONGEST_NUMBER = 20
Content = Callable[[str], "bytes | None"]
"""From a path without its first / to what is there; None where nothing is."""
Receive = Callable[[str, bytes], None]
"""What is done with the content that a page of the server's own posts to a path."""


class Server(ThreadingHTTPServer):
    """Serves `content` on 127.0.0.1 alone; port 0 takes a free one."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, content: Content, port: int = 0, receive: Receive | None = None) -> None:
        self.content, self.receive = content, receive
        self._free = threading.BoundedSemaphore(MOST_CONNECTIONS)
        try:
            super().__init__((LOOPBACK, port), _Handler)
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise DlkitError(f"cannot serve on port {port}: {reason}; --port 0 takes a free one") from None

    @property
    def hosts(self) -> tuple[str, ...]:
        """What a browser on this machine calls it; another name was pointed here by somebody else."""
        return f"{LOOPBACK}:{self.server_port}", f"localhost:{self.server_port}"

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.server_port}/"

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer in a thread, or hang up at once where there are very many already."""
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer; then another connection may have the place."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that hangs up is no error."""


@contextlib.contextmanager
def serving(server: Server) -> Iterator[str]:
    """The address of a server that runs in a thread as long as the block does."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server.url
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def content_of(folder: Path) -> Content:
    """The regular files below `folder`; nothing hidden, nothing through a link, no listing of folders."""

    def content(path: str) -> bytes | None:
        parts = path.split("/")
        if any(part in ("", ".", "..") or part.startswith(".") or set(part) & {"\\", "\0", ":"} for part in parts):
            return None
        places = [folder.joinpath(*parts[:count]) for count in range(1, len(parts) + 1)]
        try:
            *folders, last = [os.lstat(place).st_mode for place in places]
            whole = all(map(stat.S_ISDIR, folders)) and stat.S_ISREG(last)
            return read_file(places[-1], LARGEST_BYTES) if whole else None
        except (OSError, ValueError):
            return None

    return content


def vouched_for(content: Content, sha256: Mapping[str, str]) -> Content:
    """Of `content` only what `sha256` names, and only as long as it is what was meant by that."""

    def vouched(path: str) -> bytes | None:
        found = content(path) if path in sha256 else None
        return found if found is not None and hashlib.sha256(found).hexdigest() == sha256[path] else None

    return vouched


class _Handler(BaseHTTPRequestHandler):
    """GET and HEAD of the server's content, and POST where it receives something."""

    server: Server
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "dlkit", ""
    timeout = IDLE_S

    def handle_one_request(self) -> None:
        """As the base class, but for so long only."""
        over = threading.Timer(ASKING_S, self._stop_reading)
        over.daemon = True
        over.start()
        try:
            super().handle_one_request()
        finally:
            over.cancel()

    def _stop_reading(self) -> None:
        with contextlib.suppress(OSError):  # it has hung up
            self.connection.shutdown(socket.SHUT_RD)

    def do_GET(self) -> None:
        if self._is_for_us():
            self._answer(with_body=True)

    def do_HEAD(self) -> None:
        if self._is_for_us():
            self._answer(with_body=False)

    def do_POST(self) -> None:
        if not self._is_for_us():
            return
        if self.server.receive is None:
            self._not_allowed()
        elif self.headers.get("Origin") not in [f"http://{host}" for host in self.server.hosts]:
            self._refuse(HTTPStatus.FORBIDDEN)
        else:
            self._take(self.server.receive)

    def _not_allowed(self) -> None:
        self._refuse(HTTPStatus.METHOD_NOT_ALLOWED)

    def __getattr__(self, name: str) -> Any:
        """Any other method, for the base class looks for a `do_NAME`."""
        if name.startswith("do_"):
            return self._not_allowed
        raise AttributeError(name)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What the base class refuses is refused as everything else is."""
        self._refuse(HTTPStatus(code))

    def log_message(self, format: str, *arguments: Any) -> None:
        """Only the command line prints."""

    def _is_for_us(self) -> bool:
        """Whether the browser meant this machine; else it is refused, as another site's name leads here."""
        good = self.headers.get_all("Host", []) in [[host] for host in self.server.hosts]
        if not good:
            self._refuse(HTTPStatus.MISDIRECTED_REQUEST)
        if "Content-Length" in self.headers or "Transfer-Encoding" in self.headers:
            self.close_connection = True  # nobody shall take what comes with it for another request
        return good

    @property
    def _path(self) -> str:
        try:
            path = unquote(urlsplit(self.path).path).removeprefix("/")
        except ValueError:  # brackets that are no address
            return ""
        return f"{path}index.html" if path == "" or path.endswith("/") else path

    def _answer(self, *, with_body: bool) -> None:
        content = self.server.content(self._path)
        if content is None:
            self._refuse(HTTPStatus.NOT_FOUND)
            return
        kind = TYPES.get(Path(self._path).suffix, "application/octet-stream")
        self._send(HTTPStatus.OK, kind, content, with_body=with_body)

    def _take(self, receive: Receive) -> None:
        length = self.headers.get("Content-Length", "")
        if (
            not (length.isascii() and length.isdecimal() and len(length) < LONGEST_NUMBER)
            or int(length) > LARGEST_BYTES
        ):
            self._refuse(HTTPStatus.BAD_REQUEST)
            return
        receive(self._path, self.rfile.read(int(length)))
        self._send(HTTPStatus.OK, TYPES[".txt"], b"")

    def _refuse(self, status: HTTPStatus) -> None:
        self.close_connection = True  # whatever it sent along was not read
        self._send(
            status, TYPES[".txt"], f"{status.value} {status.phrase}\n".encode(), with_body=self.command != "HEAD"
        )

    def _send(self, status: HTTPStatus, kind: str, content: bytes, *, with_body: bool = True) -> None:
        self.send_response(status)
        for name, value in HEADERS.items():
            self.send_header(name, value)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        if status == HTTPStatus.METHOD_NOT_ALLOWED:
            self.send_header("Allow", "GET, HEAD")
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if with_body:
            self.wfile.write(content)
