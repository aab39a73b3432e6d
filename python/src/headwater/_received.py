"""The bytes of a result: kept in memory while they are few and in a file without a name beyond that, and hashed on the way."""

from __future__ import annotations

import hashlib
import mmap
import os
import queue
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

    They lie in an object of Python's while they are few, beyond that in a file of the system's memory where there is one, and
    beyond the limit in a temporary file. Writing to a file leaves Python to the other threads, and the system does not clear
    its pages first as it does those of a process.

    Args:
        memory_limit: Beyond how many bytes they are kept in a temporary file.
    """

    def __init__(self, memory_limit: int) -> None:
        self.bytes = 0
        self._limit = memory_limit
        self._held = bytearray()
        self._file: IO[bytes] | None = None
        # Whether the file is one of the system's memory.
        self._in_memory = True
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
        if self._in_memory and end > self._limit:
            self._in_memory = False
            self._move_to(tempfile.TemporaryFile(prefix="headwater-", buffering=0))  # noqa: SIM115
        elif self._file is None and end > _SMALL:
            memory = _memory_file(self._limit)
            if memory is not None:
                self._move_to(memory)
        if self._file is None:
            self._held += part
        else:
            _write(self._file, part)

    def _move_to(self, file: IO[bytes]) -> None:
        """Goes on in a file."""
        before, self._file = self._file, file
        if before is None:
            _write(file, self._held)
            self._held = bytearray()
        else:
            with before:
                _write(file, _content(before))

    def finish(self) -> str:
        """Ends it, and returns the SHA-256 of all bytes, hex."""
        self._queue.put(None)
        self._thread.join()
        if self._error is not None:
            raise self._error
        if self._file is None:
            self._buffer = pa.py_buffer(self._held)
        else:
            # The mapping holds the file, which has no name: the space is free when nothing reads from it any more.
            self._buffer = pa.py_buffer(_content(self._file))
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


def _memory_file(size: int) -> IO[bytes] | None:
    """A file of the system's memory, without a name, for so many bytes; None where there are none, or none so large."""
    if not hasattr(os, "memfd_create"):
        return None
    import resource  # Only systems that have such files are known to have it.

    # A process that may not write large files (ulimit -f) may not write these either.
    largest, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
    if largest != resource.RLIM_INFINITY and largest < size:
        return None
    try:
        return open(os.memfd_create("headwater"), "r+b", buffering=0)
    except OSError:
        return None


def _write(file: IO[bytes], part: Any) -> None:
    rest = memoryview(part)
    while rest:
        rest = rest[file.write(rest) :]


def _content(file: IO[bytes]) -> mmap.mmap:
    return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
