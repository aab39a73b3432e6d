"""The bytes of a result: kept in memory up to a limit and in a file without a name beyond that, and hashed on the way."""

from __future__ import annotations

import contextlib
import hashlib
import mmap
import queue
import sys
import tempfile
import threading
from collections.abc import Callable
from typing import IO, Any

import pyarrow as pa


def part_of(message: Any) -> Callable[[bytes], Any]:
    """What makes a part of a result of an answer's bytes, for gRPC to call.

    An answer that is nothing but the field `arrow` becomes a memoryview of where that lies, and is never copied; any other is
    parsed.

    Args:
        message: The class of the answers: they have the fields `arrow` and `manifest`.
    """
    tag = message.DESCRIPTOR.fields_by_name["arrow"].number << 3 | 2

    def part(serialized: bytes) -> Any:
        if serialized[:1] == bytes((tag,)):
            # The length is in groups of seven bits, the least first, and of no more than ten.
            length = 0
            for at, byte in enumerate(serialized[1:11]):
                length |= (byte & 0x7F) << 7 * at
                if byte < 0x80:
                    if length == len(serialized) - at - 2:
                        return memoryview(serialized)[at + 2 :]
                    break
        return message.FromString(serialized)

    return part


_SMALL = 8 << 20
"""Up to how many bytes lie in an object of Python's."""


class Received:
    """Takes the parts of an Arrow IPC stream in their order. A thread of its own hashes them while the caller's lays them by.

    They lie in an object of Python's while they are few, beyond that in memory mapped for them alone where the system has such,
    and beyond the limit in a temporary file. Mapped memory has room from the start for all that is within the limit, so that
    it is never copied to grow. The system gives pages of it as they are written, and large ones where it is asked: to give
    them 4 KiB at a time takes about as long as to receive what is written to them.

    Args:
        memory_limit: Beyond how many bytes they are kept in a temporary file.
    """

    def __init__(self, memory_limit: int) -> None:
        self.bytes = 0
        self._limit = memory_limit
        self._held: bytearray | mmap.mmap = bytearray()
        self._file: IO[bytes] | None = None
        self._hash = hashlib.sha256()
        self._error: BaseException | None = None
        self._buffer: pa.Buffer | None = None
        # Few, so that what comes quicker than it is hashed waits on the other side, and memory of parts is used again.
        self._queue: queue.Queue[Any] = queue.Queue(maxsize=2)
        self._thread = threading.Thread(target=self._hash_parts, name="headwater-dataset", daemon=True)
        self._thread.start()

    def add(self, part: Any) -> None:
        """Takes one part, any object with the buffer protocol. It must not change afterwards."""
        self._queue.put(part)
        self._lay_by(part)
        self.bytes += len(part)

    def _hash_parts(self) -> None:
        while (part := self._queue.get()) is not None:
            if self._error is not None:
                continue
            try:
                self._hash.update(part)
            except BaseException as error:
                self._error = error

    def _lay_by(self, part: Any) -> None:
        end = self.bytes + len(part)
        if self._file is None and end > self._limit:
            self._file = tempfile.TemporaryFile(prefix="headwater-", buffering=0)  # noqa: SIM115
            _write(self._file, memoryview(self._held)[: self.bytes])
            self._held = bytearray()
        if self._file is not None:
            _write(self._file, part)
            return
        if self.bytes <= _SMALL < end and (memory := _map_memory(self._limit)) is not None:
            memory[: self.bytes] = self._held
            self._held = memory
        if isinstance(self._held, bytearray):
            self._held += part
        else:
            self._held[self.bytes : end] = part

    def finish(self) -> str:
        """Ends it, and returns the SHA-256 of all bytes, hex."""
        self._queue.put(None)
        self._thread.join()
        if self._error is not None:
            raise self._error
        if self._file is None:
            if not isinstance(self._held, bytearray):
                # Where it cannot be cut, what it has beyond its bytes was promised and never taken.
                with contextlib.suppress(AttributeError, OSError, SystemError):
                    self._held.resize(self.bytes)
            self._buffer = pa.py_buffer(memoryview(self._held)[: self.bytes].toreadonly())
        else:
            # The mapping holds the file, which has no name: the space is free when nothing reads from it any more.
            self._buffer = pa.py_buffer(mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ))
            self._file.close()
        return self._hash.hexdigest()

    def drop(self) -> None:
        """Ends it early, and forgets all of it."""
        if self._thread.is_alive():
            self._queue.put(None)
            self._thread.join()
        self._held = bytearray()
        if self._file is not None:
            self._file.close()

    @property
    def buffer(self) -> pa.Buffer:
        """All bytes, after finish."""
        assert self._buffer is not None
        return self._buffer


def _map_memory(size: int) -> mmap.mmap | None:
    """Memory of this process alone for so many bytes, which it takes as they are written; None where there is none."""
    if not hasattr(mmap, "MAP_PRIVATE"):
        return None
    try:
        # Where the system counts what it promises, it is not to count what is never written.
        unreserved = getattr(mmap, "MAP_NORESERVE", 0x4000 if sys.platform == "linux" else 0)
        memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | unreserved)
    except (OSError, OverflowError):
        return None
    if hasattr(mmap, "MADV_HUGEPAGE"):
        # A kernel without large pages says that it knows of no such thing.
        with contextlib.suppress(OSError):
            memory.madvise(mmap.MADV_HUGEPAGE)
    return memory


def _write(file: IO[bytes], part: Any) -> None:
    rest = memoryview(part)
    while rest:
        rest = rest[file.write(rest) :]
