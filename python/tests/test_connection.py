"""Where the server is, how it is reached and as whom: arguments, else the environment, else the file of clients."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

import headwater
from headwater.errors import InvalidArgumentError, ServerUnavailableError, UnauthenticatedError


def test_the_environment(server: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert headwater.Client().server == "127.0.0.1:7411" == headwater.DEFAULT_SERVER
    monkeypatch.setenv("HEADWATER_SERVER", server.address)
    with headwater.Client() as nobody, pytest.raises(UnauthenticatedError):
        nobody.features()
    monkeypatch.setenv("HEADWATER_TOKEN_FILE", str(server.token_file))
    assert headwater.Client().features()
    assert headwater.Client(token_file=server.token_file).features()
    monkeypatch.setenv("HEADWATER_TOKEN", "hw_other")
    with headwater.Client() as other, pytest.raises(UnauthenticatedError):
        other.features()
    assert headwater.Client(token=f" {server.token}\n").features()
    with pytest.raises(InvalidArgumentError, match="found token and token_file"):
        headwater.Client(token="a", token_file="b")
    with pytest.raises(InvalidArgumentError, match=r"token file .*missing: No such file or directory; check the path"):
        headwater.Client(token_file=tmp_path / "missing")
    with pytest.raises(InvalidArgumentError, match="characters that no token has"):
        headwater.Client(token="hw_\x00")
    assert server.token not in repr(headwater.Client(server.address, server.token))


def test_the_file_of_clients(server: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "client.env"
    file.write_text(f"# what dev wrote\nHEADWATER_SERVER={server.address}\n\n HEADWATER_TOKEN_FILE = {server.token_file}\n")
    monkeypatch.setenv("HEADWATER_CONFIG", str(file))
    assert headwater.Client().features()
    with headwater.Client(token="hw_other") as other, pytest.raises(UnauthenticatedError):
        other.features()
    # A token goes to the server that it is for.
    with headwater.Client(server.address) as named, pytest.raises(UnauthenticatedError):
        named.features()
    # The command line reads the same file.
    done = subprocess.run([server.program, "list", "services"], capture_output=True, text=True, check=False)
    assert (done.returncode, "delay_model_v1" in done.stdout) == (0, True), done.stderr

    file.write_text("HEADWATER_SERVER=a:1\nhw_secret\n")
    with pytest.raises(
        InvalidArgumentError, match=r"client\.env:2: found no =, expected NAME=VALUE with one of HEADWATER_SERVER,"
    ):
        headwater.Client()
    monkeypatch.setenv("HEADWATER_CONFIG", str(tmp_path / "missing"))
    with pytest.raises(InvalidArgumentError, match=r"missing: no such file or directory; correct the path in HEADWATER_CONFIG"):
        headwater.Client()
    monkeypatch.delenv("HEADWATER_CONFIG")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert headwater.Client().server == headwater.DEFAULT_SERVER


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, trustme.CA]]:
    folder = tmp_path_factory.mktemp("certificates")
    ca = trustme.CA()
    ca.cert_pem.write_to_path(folder / "ca.pem")
    client = ca.issue_cert("client")
    client.private_key_pem.write_to_path(folder / "client.key")
    with (folder / "client.pem").open("wb") as chain:
        for pem in client.cert_chain_pems:
            chain.write(pem.bytes())
    yield folder, ca
    shutil.rmtree(folder)


@contextlib.contextmanager
def tls_before(address: str, ca: trustme.CA, *, client_certificates: bool) -> Iterator[str]:
    """What stands before a server that speaks no TLS: it takes the encryption off."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("localhost", "127.0.0.1").configure_cert(context)
    context.set_alpn_protocols(["h2"])
    if client_certificates:
        ca.configure_trust(context)
        context.verify_mode = ssl.CERT_REQUIRED
    host, port = address.rsplit(":", 1)
    listener = socket.create_server(("127.0.0.1", 0))

    def copy(source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                target.sendall(data)
        for s in (source, target):
            with contextlib.suppress(OSError):
                s.shutdown(socket.SHUT_RDWR)

    def serve(raw: socket.socket) -> None:
        with (
            contextlib.suppress(OSError),
            context.wrap_socket(raw, server_side=True) as outer,
            socket.create_connection((host, int(port))) as inner,
        ):
            back = threading.Thread(target=copy, args=(inner, outer), daemon=True)
            back.start()
            copy(outer, inner)
            back.join()

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield f"localhost:{listener.getsockname()[1]}"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def test_tls(
    server: Any, authority: tuple[Path, trustme.CA], flights: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, ca = authority
    with tls_before(server.address, ca, client_certificates=False) as address:
        with headwater.Client(address, server.token, ca_file=folder / "ca.pem") as client:
            assert "over TLS" in repr(client)
            assert client.features()
            assert len(client.dataset("delay_model_v1", spine=flights, name="encrypted")) == 4
        # An authority that this machine does not know.
        with headwater.Client(address, server.token, tls=True) as client, pytest.raises(ServerUnavailableError):
            client.features()
        with headwater.Client(address, server.token) as client, pytest.raises(ServerUnavailableError, match="tls=True"):
            client.features()
        monkeypatch.setenv("HEADWATER_CA_FILE", str(folder / "ca.pem"))
        assert headwater.Client(address, server.token).features()
        # The command line takes the same, and does not send its token to a server that it does not trust.
        call = [server.program, "list", "services", "--server", address]
        environment = {**os.environ, "HEADWATER_TOKEN": server.token}
        done = subprocess.run(call, env=environment, capture_output=True, text=True, check=False)
        assert (done.returncode, "delay_model_v1" in done.stdout) == (0, True), done.stderr
        environment.pop("HEADWATER_CA_FILE")
        done = subprocess.run(call, env={**environment, "HEADWATER_TLS": "1"}, capture_output=True, text=True, check=False)
        assert (done.returncode, "certificate" in done.stderr) == (1, True), done.stderr
        monkeypatch.setenv("HEADWATER_TLS", "0")
        assert "over TLS" not in repr(headwater.Client(address, server.token))
        monkeypatch.setenv("HEADWATER_TLS", "perhaps")
        with pytest.raises(InvalidArgumentError, match="HEADWATER_TLS: found 'perhaps', expected 1 or 0"):
            headwater.Client(address)


def test_client_certificates(server: Any, authority: tuple[Path, trustme.CA]) -> None:
    folder, ca = authority
    with tls_before(server.address, ca, client_certificates=True) as address:
        arguments: dict[str, Any] = {
            "ca_file": folder / "ca.pem",
            "cert_file": folder / "client.pem",
            "key_file": folder / "client.key",
        }
        with headwater.Client(address, server.token, **arguments) as client:
            assert client.features()
        del arguments["key_file"]
        with pytest.raises(InvalidArgumentError, match="found one of cert_file and key_file"):
            headwater.Client(address, server.token, **arguments)
        del arguments["cert_file"]
        with headwater.Client(address, server.token, **arguments) as client, pytest.raises(ServerUnavailableError):
            client.features()
