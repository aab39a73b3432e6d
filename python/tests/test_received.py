"""What a server sends is held to its manifest before anyone sees it. The servers here are not Headwater's."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterator
from concurrent import futures
from typing import Any

import grpc
import pyarrow as pa
import pytest

import headwater
from headwater.errors import DigestMismatchError, InternalError, UnimplementedError
from headwater.v1 import dataset_pb2, dataset_pb2_grpc

TABLE = pa.table({"x": [1, 2, 3]})


def stream() -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, TABLE.schema) as writer:
        writer.write_table(TABLE)
    return bytes(sink.getvalue())


@contextlib.contextmanager
def serving(answers: Callable[[], Iterator[Any]]) -> Iterator[headwater.Client]:
    class Fake(dataset_pb2_grpc.DatasetServiceServicer):
        def FetchDataset(self, request: Any, context: Any) -> Iterator[Any]:
            yield from answers()

    server = grpc.server(futures.ThreadPoolExecutor(2))
    dataset_pb2_grpc.add_DatasetServiceServicer_to_server(Fake(), server)  # type: ignore[no-untyped-call]
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        with headwater.Client(f"127.0.0.1:{port}") as client:
            yield client
    finally:
        server.stop(None).wait()


def part(arrow: bytes) -> Any:
    return dataset_pb2.FetchDatasetResponse(arrow=arrow)


def manifest(of: bytes) -> Any:
    return dataset_pb2.FetchDatasetResponse(
        manifest=dataset_pb2.Manifest(id="ds_x", name="x", version=1, rows=3, arrow_sha256=hashlib.sha256(of).hexdigest())
    )


def test_what_the_manifest_says() -> None:
    sent = stream()

    def answers() -> Iterator[Any]:
        yield part(sent[:100])
        yield part(sent[100:])
        yield manifest(sent)

    with serving(answers) as client:
        assert client.fetch("ds_x").to_arrow().equals(TABLE)


def test_other_bytes() -> None:
    sent = stream()

    def answers() -> Iterator[Any]:
        yield part(sent.replace(b"\x02", b"\x03", 1))
        yield manifest(sent)

    with (
        serving(answers) as client,
        pytest.raises(DigestMismatchError, match=r"dataset ds_x: found bytes of SHA-256 .*fetch it again"),
    ):
        client.fetch("ds_x")


def test_no_manifest() -> None:
    with serving(lambda: iter([part(stream())])) as client, pytest.raises(InternalError, match="without its manifest"):
        client.fetch("ds_x")


def test_an_end_in_the_middle() -> None:
    def answers() -> Iterator[Any]:
        yield part(stream())
        raise RuntimeError("gone")

    with serving(answers) as client, pytest.raises(headwater.HeadwaterError):
        client.fetch("ds_x")


def test_another_server() -> None:
    with serving(lambda: iter(())) as client, pytest.raises(UnimplementedError, match="is it a Headwater server"):
        client.datasets()
