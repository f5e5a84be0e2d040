"""The server on loopback takes whatever bytes come: it answers by its own rules or hangs up, and goes on."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dlkit.digest import sha256_of
from dlkit.web import serving
from dlkit.web.serving import HEADERS, Server, content_of, vouched_for

SECRET = b"the secret"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    site = tmp_path / "bundle" / "web"
    site.mkdir(parents=True)
    (site / "index.html").write_text("<p>here")
    (site / "added.html").write_bytes(SECRET)
    (site / "changed.html").write_text("as it was")
    (tmp_path / "bundle" / "manifest.json").write_bytes(SECRET)
    sha256 = {name: sha256_of(site / name) for name in ("index.html", "changed.html")}
    (site / "changed.html").write_bytes(SECRET)
    made = Server(vouched_for(content_of(site), sha256))
    with serving.serving(made):
        yield made


def said(server: Server, sent: bytes, wait_s: float = 5.0) -> bytes:
    """All that comes back for `sent`, until the server hangs up or is silent."""
    with socket.create_connection(("127.0.0.1", server.server_port), timeout=wait_s) as line:
        answer = b""
        try:
            line.sendall(sent)
            line.shutdown(socket.SHUT_WR)
            while chunk := line.recv(65536):
                answer += chunk
        except OSError:  # it hung up before it was told all
            pass
        return answer


def asking(server: Server, target: bytes, method: bytes = b"GET", more: bytes = b"") -> bytes:
    return b"%s %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n%s\r\n" % (method, target, server.server_port, more)


def is_well(server: Server) -> bool:
    return said(server, asking(server, b"/")).startswith(b"HTTP/1.1 200")


UPWARDS = [
    b"/../manifest.json", b"/..%2fmanifest.json", b"/%2e%2e/manifest.json", b"/%2e%2e%2fmanifest.json",
    b"/.%2e/manifest.json", b"/%252e%252e/manifest.json", b"/..%5cmanifest.json", b"/..\\manifest.json",
    b"/a/../../manifest.json", b"/./../manifest.json", b"//../manifest.json", b"//manifest.json",
    b"/%00/../manifest.json",
    b"/index.html%00.txt", b"/index.html/", b"/index.html/.", b"/index.html/../../manifest.json", b"/..;/manifest.json",
    b"/%c0%ae%c0%ae/manifest.json", b"/%u002e%u002e/manifest.json", b"/\xef\xbc\x8e\xef\xbc\x8e/manifest.json",
    b"/file:///etc/passwd", b"file:///etc/passwd", b"/proc/self/environ", b"/C:/manifest.json", b"/~root",
    b"/index.html:stream", b"/INDEX.HTML", b"/index.html.", b"/index.html%20", b"/added.html", b"/changed.html", b"//[",
    b"http://[/", b"/\xff\xfe", b"/%", b"/%zz", b"*", b"manifest.json", b"../manifest.json", b"/" + b"../" * 500,
    b"/" + b"a" * 60000,
]  # fmt: skip


@pytest.mark.parametrize("target", UPWARDS, ids=lambda target: repr(target[:40]))
def test_no_way_out(server: Server, target: bytes) -> None:
    """Whatever the name: nothing but what the manifest vouches for, and an answer with the page's policy."""
    answer = said(server, asking(server, target))
    assert SECRET not in answer
    assert b"root:" not in answer
    assert re.match(rb"HTTP/1\.1 (404|400|414) ", answer), answer[:200]
    assert f"Content-Security-Policy: {HEADERS['Content-Security-Policy']}".encode() in answer


STRANGE = {
    "nothing": b"",
    "an empty line": b"\r\n\r\n",
    "no request": b"hello\r\n\r\n",
    "binary": bytes(range(256)) * 20,
    "a TLS greeting": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500),
    "HTTP/0.9": b"GET /\r\n",
    "HTTP/1.0 without a host": b"GET / HTTP/1.0\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "HTTP/9999999999999": b"GET / HTTP/9999999999999.9\r\n\r\n",
    "a version that is none": b"GET / HTTP/\xb2.\xb3\r\n\r\n",
    "a line without end": b"GET /" + b"a" * 200_000,
    "a header without end": b"GET / HTTP/1.1\r\nX: " + b"a" * 200_000,
    "many headers": b"GET / HTTP/1.1\r\n" + b"X: a\r\n" * 5000 + b"\r\n",
    "a header of two lines": b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n evil\r\n\r\n",
    "a bare line feed": b"GET / HTTP/1.1\nHost: evil\n\n",
    "NUL in a header": b"GET / HTTP/1.1\r\nHost: 127.0.0.1\0evil\r\n\r\n",
    "a method that is none": b"\x00\x01 / HTTP/1.1\r\n\r\n",
    "a method of Python": b"__class__ / HTTP/1.1\r\n\r\n",
}


@pytest.mark.parametrize("sent", STRANGE.values(), ids=list(STRANGE))
def test_what_is_no_request(server: Server, sent: bytes) -> None:
    """It gets a refusal or nothing, and the next one is answered."""
    answer = said(server, sent)
    assert b"<p>here" not in answer
    assert b"Traceback" not in answer
    assert answer == b"" or b"Content-Security-Policy" in answer or b"HTTP/1" not in answer[:6]
    assert is_well(server)


HOSTS = [
    b"evil.example", b"127.0.0.1.evil.example:%d", b"localhost", b"LOCALHOST:%d", b"127.1:%d", b"2130706433:%d",
    b"0:%d", b"[::1]:%d", b"0.0.0.0:%d", b"127.0.0.1:%d@evil", b"evil@127.0.0.1:%d", b"127.0.0.1:%d, evil",
    b"127.0.0.1:0%d",
    b"127.0.0.1:%d/evil", b"\xb9\xb2\xb7.0.0.1:%d", b"",
]  # fmt: skip


@pytest.mark.parametrize("host", HOSTS, ids=repr)
def test_a_name_that_was_pointed_here(server: Server, host: bytes) -> None:
    """Only the two names that a browser on this machine types."""
    named = host % server.server_port if b"%d" in host else host
    answer = said(server, b"GET / HTTP/1.1\r\nHost: " + named + b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 421")


def test_a_body_is_no_second_request(server: Server) -> None:
    """What comes along with a request is never taken for another one."""
    hidden = asking(server, b"/index.html")
    for more in (b"Content-Length: %d\r\n" % len(hidden), b"Transfer-Encoding: chunked\r\n"):
        answer = said(server, asking(server, b"/none", more=more) + hidden)
        assert answer.count(b"HTTP/1.1 ") == 1
        assert b"<p>here" not in answer


@pytest.mark.parametrize("length", [b"\xb2", b"-1", b"1e3", b"+5", b" ", b"0x5", b"9" * 30, b"99999999999"], ids=repr)
def test_a_length_that_is_none(length: bytes) -> None:
    """A server that receives says so, and takes no memory for it."""
    received: list[bytes] = []
    made = Server(lambda path: None, receive=lambda path, body: received.append(body))
    with serving.serving(made):
        origin = b"Origin: http://127.0.0.1:%d\r\n" % made.server_port
        answer = said(made, asking(made, b"/x", b"POST", origin + b"Content-Length: " + length + b"\r\n"))
    assert answer.startswith(b"HTTP/1.1 400")
    assert received == []


def test_a_request_that_drips_in(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not waited for, however steadily it comes."""
    monkeypatch.setattr(serving, "ASKING_S", 0.4)
    with socket.create_connection(("127.0.0.1", server.server_port), timeout=20) as line:
        line.sendall(b"GET / HTTP/1.1\r\nX: ")
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            _drip(line)


def _drip(line: socket.socket) -> None:
    for _ in range(400):
        line.sendall(b"a")
        time.sleep(0.05)


def test_very_many_connections(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some are served, the others hung up on; when those go, the next one is served again."""
    monkeypatch.setattr(server, "_free", threading.BoundedSemaphore(5))
    lines = [socket.create_connection(("127.0.0.1", server.server_port), timeout=5) for _ in range(20)]
    assert said(server, asking(server, b"/")) == b""
    for line in lines:
        line.close()
    deadline = time.monotonic() + 20
    while not is_well(server):
        assert time.monotonic() < deadline
