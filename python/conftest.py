"""A real server for the tests, and what the examples in docstrings start from."""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import headwater

ROOT = Path(__file__).resolve().parent.parent
FLIGHTS = ROOT / "examples" / "flights"
KINDS = Path(__file__).resolve().parent / "tests" / "kinds"


class Server:
    """A `headwater dev` of the tests' own; `fill` has it filled with a week of flights and a value of every type."""

    def __init__(self, folder: Path) -> None:
        self.program = os.environ.get("HEADWATER_BIN") or str(ROOT / "bin" / "headwater")
        if not shutil.which(self.program):
            pytest.exit(f"found no {self.program}; `make build` makes it, or say where it is with HEADWATER_BIN", returncode=2)
        ready = folder / "ready"
        self.log = folder / "log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [self.program, "dev", "--data-dir", folder / "data", "--listen", "127.0.0.1:0", "--ready-file", ready],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + 120
        while not ready.exists():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                pytest.exit(f"the server did not start: {self.log.read_text()}", returncode=2)
            time.sleep(0.05)
        said = dict(line.split("=", 1) for line in ready.read_text().splitlines())
        self.address = said["HEADWATER_SERVER"]
        self.token_file = Path(said["HEADWATER_TOKEN_FILE"])
        self.token = self.token_file.read_text().strip()

    def run(self, *arguments: Any) -> str:
        """Runs the command line against it, and returns what it printed."""
        done = subprocess.run(
            [self.program, *map(str, arguments)],
            env={**os.environ, "HEADWATER_SERVER": self.address, "HEADWATER_TOKEN": self.token},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"headwater {' '.join(map(str, arguments))}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    def fill(self) -> None:
        self.run("apply", FLIGHTS / "definitions", KINDS / "definitions.yaml")
        self.run("ingest", "flights", FLIGHTS / "data" / "flights-2001-01-week1.parquet")
        self.run("ingest", "offers", KINDS / "offers.ndjson")
        self.run("materialize", "airport_delays", "route_delays", "offer", "--wait")
        self.run("model", "register", "delay_model", "--service", "delay_model_v1")

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@contextlib.contextmanager
def running() -> Iterator[Server]:
    # Postgres may run as another user, who must get to its folder below.
    folder = Path(tempfile.mkdtemp(prefix="headwater-python-"))
    folder.chmod(0o711)
    server = Server(folder)
    try:
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """The server of nearly all tests, which publish nothing there."""
    with running() as server:
        server.fill()
        yield server


@pytest.fixture(scope="module")
def own_server() -> Iterator[Server]:
    """An empty server, for a module with definitions and runs of its own."""
    with running() as server:
        yield server


@pytest.fixture(autouse=True)
def environment(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what a test sets is in the environment; examples find the server there."""
    for name in list(os.environ):
        if name.startswith("HEADWATER_") and name != "HEADWATER_BIN":
            monkeypatch.delenv(name)
    monkeypatch.setenv("HEADWATER_CONFIG", os.devnull)
    if isinstance(request.node, pytest.DoctestItem):
        server: Server = request.getfixturevalue("server")
        monkeypatch.setenv("HEADWATER_SERVER", server.address)
        monkeypatch.setenv("HEADWATER_TOKEN", server.token)


@pytest.fixture(scope="session")
def client(server: Server) -> Iterator[headwater.Client]:
    with headwater.Client(server.address, server.token) as client:
        yield client


def at(day: int, hour: int) -> dt.datetime:
    return dt.datetime(2001, 1, day, hour, tzinfo=dt.timezone.utc)


@pytest.fixture(scope="session")
def flights() -> list[dict[str, Any]]:
    """Four flights, one of them from an airport that there is not."""
    return [
        {"origin": "ORD", "destination": "LAX", "timestamp": at(5, 12), "delay": 12},
        {"origin": "ATL", "destination": "LGA", "timestamp": at(5, 13), "delay": -4},
        {"origin": "SFO", "destination": "SEA", "timestamp": at(6, 9), "delay": 31},
        {"origin": "XXX", "destination": "LAX", "timestamp": at(6, 9), "delay": 0},
    ]


@pytest.fixture(scope="session")
def train(client: headwater.Client, flights: list[dict[str, Any]]) -> headwater.Dataset:
    return client.dataset("delay_model_v1", spine=flights, name="example")


@pytest.fixture(autouse=True)
def doctest_names(request: pytest.FixtureRequest, doctest_namespace: dict[str, Any]) -> None:
    if isinstance(request.node, pytest.DoctestItem):
        doctest_namespace["headwater"] = headwater
        for name in ("client", "flights", "train"):
            doctest_namespace[name] = request.getfixturevalue(name)
