"""What a server sends is held to its manifest before anyone sees it. The servers here are not Headwater's."""

from __future__ import annotations

import contextlib
import hashlib
import mmap
import random
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent import futures
from typing import Any

import grpc
import pyarrow as pa
import pytest
from google.protobuf.message import DecodeError

import headwater
from headwater import _received
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


def test_parts_are_taken_from_where_they_lie() -> None:
    part = _received.part_of(dataset_pb2.FetchDatasetResponse)
    for n in (0, 1, 127, 128, 16_383, 16_384, 1 << 20):
        arrow = bytes(random.Random(n).randbytes(n))
        serialized = dataset_pb2.FetchDatasetResponse(arrow=arrow).SerializeToString()
        found = part(serialized)
        assert isinstance(found, memoryview)
        assert found.obj is serialized
        assert found == arrow


@pytest.mark.parametrize(
    "serialized",
    [
        # The field twice: the last one counts.
        b"\x0a\x01a\x0a\x01b",
        # With one that is not known, before or behind it.
        b"\x98\x06\x01\x0a\x01b",
        b"\x0a\x01b\x98\x06\x01",
    ],
)
def test_parts_in_other_words(serialized: bytes) -> None:
    found = _received.part_of(dataset_pb2.FetchDatasetResponse)(serialized)
    assert not isinstance(found, memoryview)
    assert found.arrow == b"b"


def test_parts_with_a_length_in_too_many_bytes() -> None:
    assert _received.part_of(dataset_pb2.FetchDatasetResponse)(b"\x0a\x81\x80\x00b") == b"b"


@pytest.mark.parametrize("serialized", [b"\x0a", b"\x0a\x05ab", b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"])
def test_parts_that_are_none(serialized: bytes) -> None:
    with pytest.raises(DecodeError):
        _received.part_of(dataset_pb2.FetchDatasetResponse)(serialized)


def test_parts_in_other_words_are_received() -> None:
    sent = stream()
    unknown = dataset_pb2.FetchDatasetResponse()
    unknown.MergeFromString(b"\x98\x06\x01" + part(sent[100:]).SerializeToString())

    def answers() -> Iterator[Any]:
        yield part(sent[:100])
        yield part(b"")
        yield unknown
        yield manifest(sent)

    with serving(answers) as client:
        assert client.fetch("ds_x").to_arrow().equals(TABLE)


def parts_of(size: int) -> Iterator[bytes]:
    source = random.Random(size)
    while size > 0:
        yield source.randbytes(min(size, 300_000))
        size -= 300_000


def unavailable(*_: Any, **__: Any) -> int:
    raise OSError("no such call")


@pytest.fixture(params=["to be had", "not to be had", "unknown", "without large pages", "not to be cut", "without a cut"])
def mappings(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether there is memory to be mapped."""
    if not hasattr(mmap, "MAP_PRIVATE"):
        return False

    class Unmapped(mmap.mmap):
        def __new__(cls, fileno: int, *args: Any, **named: Any) -> Any:
            return unavailable() if fileno == -1 else super().__new__(cls, fileno, *args, **named)

    class Mapping(mmap.mmap):
        def madvise(self, *_: int) -> None:
            raise OSError("no large pages")

        def resize(self, *_: int) -> None:
            # So it is without mremap, the first up to Python 3.14.
            raise SystemError("no mremap()") if request.param == "not to be cut" else AttributeError("resize")

    if request.param == "unknown":
        monkeypatch.delattr(mmap, "MAP_PRIVATE")
    if request.param == "not to be had":
        monkeypatch.setattr(mmap, "mmap", Unmapped)
    if request.param in ("without large pages", "not to be cut", "without a cut"):
        monkeypatch.delattr(Mapping, "resize" if request.param == "without large pages" else "madvise")
        monkeypatch.setattr(mmap, "mmap", Mapping)
    return request.param not in ("not to be had", "unknown")


@pytest.mark.parametrize("size", [0, 1, 8 << 20, (8 << 20) + 1, 12_345_678])
def test_everything_lies_in_one_piece(size: int, mappings: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    # It is within the limit, so it is not to be on a disk.
    monkeypatch.setattr(tempfile, "TemporaryFile", unavailable)
    whole = b"".join(parts_of(size))
    received = _received.Received(size)
    for p in parts_of(size):
        received.add(memoryview(p))
    assert isinstance(received._held, bytearray) == (not mappings or size <= 8 << 20)
    assert received.finish() == hashlib.sha256(whole).hexdigest()
    assert received.buffer.to_pybytes() == whole
    assert not received.buffer.is_mutable


@pytest.mark.skipif(sys.platform != "linux", reason="what a process has is read of /proc")
def test_a_result_takes_the_memory_that_it_needs() -> None:
    def address_space() -> int:
        with open("/proc/self/statm") as statm:
            return int(statm.read().split()[0]) * mmap.PAGESIZE

    before = address_space()
    received = _received.Received(4 << 30)
    for p in parts_of(12_345_678):
        received.add(p)
    assert address_space() - before > 3 << 30, "there was no room for it from the start"
    received.finish()
    assert address_space() - before < 1 << 30


@pytest.mark.parametrize("limit", [1, 9_000_000])
def test_what_is_beyond_the_limit_lies_in_a_file(limit: int, mappings: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []
    temporary = tempfile.TemporaryFile
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda *a, **k: made.append(temporary(*a, **k)) or made[-1])  # type: ignore[func-returns-value]
    whole = b"".join(parts_of(12_345_678))
    received = _received.Received(limit)
    for p in parts_of(12_345_678):
        received.add(p)
    assert received.finish() == hashlib.sha256(whole).hexdigest()
    assert made == [received._file]
    assert received.buffer.to_pybytes() == whole


def test_a_disk_that_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    received = _received.Received(1)
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **_: open("/dev/full", "r+b", buffering=0))  # noqa: SIM115
    received.add(b"0")
    with pytest.raises(OSError, match="No space left"):
        received.add(b"1")
    received.drop()
    assert not received._thread.is_alive()


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
