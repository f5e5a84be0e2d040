"""The server on loopback gives a page's files to a browser of this machine, and nothing else to nobody else."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dlkit.digest import sha256_of
from dlkit.errors import DlkitError
from dlkit.web.serving import HEADERS, Server, content_of, serving


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    site = tmp_path / "site"
    (site / "litert").mkdir(parents=True)
    (site / "index.html").write_text("<p>here")
    (site / "litert" / "a.wasm").write_bytes(b"\0asm")
    (site / ".hidden").write_text("hidden")
    (tmp_path / "secret.txt").write_text("secret")
    (site / "link.txt").symlink_to(tmp_path / "secret.txt")
    (site / "linked").symlink_to(tmp_path)
    os.mkfifo(site / "pipe")
    made = Server(content_of(site))
    with serving(made):
        yield made


def ask(server: Server, path: str, method: str = "GET", **headers: str) -> tuple[int, bytes, http.client.HTTPMessage]:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)
    connection.request(method, path, headers=headers)
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, content, answer.headers


@pytest.mark.parametrize(
    ("path", "kind"), [("/", "text/html; charset=utf-8"), ("/litert/a.wasm", "application/wasm")], ids=str
)
def test_a_file(server: Server, path: str, kind: str) -> None:
    """It comes with its type and with what keeps a page to itself."""
    status, content, headers = ask(server, path)
    assert (status, headers["Content-Type"], headers["Content-Length"]) == (200, kind, str(len(content)))
    assert {name: headers[name] for name in HEADERS} == HEADERS
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]


def test_a_question_after_the_mark(server: Server) -> None:
    """What follows a ? is no part of the name."""
    assert ask(server, "/index.html?x=1")[:2] == (200, b"<p>here")


@pytest.mark.parametrize(
    "path",
    [
        "/none", "/litert", "/litert/", "/../secret.txt", "/%2e%2e/secret.txt", "/litert/..%2f..%2fsecret.txt",
        "/link.txt", "/linked/secret.txt", "/.hidden", "/litert//a.wasm", "/..\\secret.txt", "/index.html%00", "/pipe",
        "/./index.html", pytest.param("/" + "a" * 5000, id="long"),
    ],
)  # fmt: skip
def test_nothing_else(server: Server, path: str) -> None:
    """No listing, no way out, no link, nothing hidden."""
    status, content, _ = ask(server, path)
    assert (status, content) == (404, b"404 Not Found\n")


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", "127.0.0.1:1", "localhost.evil.example", ""])
def test_another_name(server: Server, host: str) -> None:
    """A name that somebody else pointed to this machine gets nothing."""
    assert ask(server, "/", Host=host)[0] == 421


def test_localhost(server: Server) -> None:
    """The other name of this machine is one of its own."""
    assert ask(server, "/", Host=f"localhost:{server.server_port}")[0] == 200


def test_two_names(server: Server) -> None:
    """Two Host headers are one too many."""
    with socket.create_connection(("127.0.0.1", server.server_port), timeout=10) as line:
        good = f"Host: 127.0.0.1:{server.server_port}\r\n"
        line.sendall(f"GET / HTTP/1.1\r\n{good}Host: evil.example\r\n\r\n".encode())
        assert line.recv(100).startswith(b"HTTP/1.1 421")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_only_reading(server: Server, method: str) -> None:
    """Nothing but GET and HEAD."""
    status, _, headers = ask(server, "/", method)
    assert (status, headers["Allow"]) == (405, "GET, HEAD")


def test_head(server: Server) -> None:
    """The same without the content."""
    status, content, headers = ask(server, "/", "HEAD")
    assert (status, content, headers["Content-Length"]) == (200, b"", "7")


def test_a_post_from_another_site() -> None:
    """A server that receives takes only what its own page sends."""
    received: list[tuple[str, bytes]] = []
    made = Server(lambda path: None, receive=lambda path, body: received.append((path, body)))
    with serving(made):
        assert ask(made, "/x", "POST", Origin="http://evil.example")[0] == 403
        assert ask(made, "/x", "POST")[0] == 403
        assert (
            ask(made, "/x", "POST", Origin=f"http://127.0.0.1:{made.server_port}", **{"Content-Length": "-1"})[0] == 400
        )
        assert (
            ask(made, "/x", "POST", Origin=f"http://127.0.0.1:{made.server_port}", **{"Content-Length": "0"})[0] == 200
        )
    assert received == [("x", b"")]


def test_loopback_alone(server: Server) -> None:
    """It listens on 127.0.0.1 and on no other address."""
    assert server.server_address[0] == "127.0.0.1"


def test_a_port_in_use(server: Server) -> None:
    """It is said in one line, with what to type."""
    with pytest.raises(
        DlkitError, match=r"cannot serve on port \d+: Address already in use; --port 0 takes a free one"
    ):
        Server(lambda path: None, server.server_port)


def test_a_bundle_without_a_page(dlkit, tiny_bundle: Path) -> None:
    """It is told what makes one."""
    said = dlkit("serve", tiny_bundle)
    assert (said.code, said.err.count("\n")) == (1, 1)
    assert "is for cpu and has no page; make one: dlkit export digits-tiny --target web" in said.err


SERVE = """
import atexit, signal, sys, threading

def interrupt_another_thread():
    if sys.stdin.read(1):
        signal.pthread_kill(threading.get_ident(), signal.SIGINT)

threading.Thread(target=interrupt_another_thread, daemon=True).start()
atexit.register(lambda: print({"keras", "tensorflow"} & set(sys.modules) or "light"))
sys.argv = ["dlkit", "serve", sys.argv[1], "--port", "0"]
from dlkit.cli import main; main()
"""


@pytest.fixture
def serve(bundle: Path) -> Iterator[subprocess.Popen[str]]:
    """`dlkit serve` of a bundle with a page; a byte on its standard input is Ctrl-C to a thread that only waits."""
    (bundle / "web").mkdir()
    (bundle / "web" / "index.html").write_text("<p>page")
    path = bundle / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["sha256"]["web/index.html"] = sha256_of(bundle / "web" / "index.html")
    path.write_text(json.dumps(manifest))
    process = subprocess.Popen(
        [sys.executable, "-uc", SERVE, str(bundle)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    yield process
    process.kill()
    process.communicate()


@pytest.mark.parametrize("to_main_thread", [True, False])
def test_serve_until_it_is_stopped(serve: subprocess.Popen[str], to_main_thread: bool) -> None:
    """`dlkit serve` tells its address, answers, imports no framework, and ends in order, whoever hears of Ctrl-C."""
    assert serve.stdout is not None
    url = serve.stdout.readline().split()[0]
    connection = http.client.HTTPConnection(url.removeprefix("http://").rstrip("/"), timeout=10)
    connection.request("GET", "/")
    assert connection.getresponse().read() == b"<p>page"
    connection.close()
    if to_main_thread:
        serve.send_signal(signal.SIGINT)
    said, _ = serve.communicate(None if to_main_thread else ".", timeout=30)
    assert (serve.returncode, said) == (0, "light\n")
