"""The bytes of a result: kept in memory while they are few and in a file without a name beyond that, and hashed on the way."""

from __future__ import annotations

import contextlib
import hashlib
import mmap
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


class _Room:
    """Room for bytes one after another: pieces are appended, and lie in one piece.

    Much is put into memory that was set aside for the limit. Only what is written to is taken, in pages as large as there are:
    those of the usual size cost more than writing to them does.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        # Where there is no such memory, it grows, and is moved by the kernel then, not copied.
        self._held: bytearray | mmap.mmap = bytearray()
        self.size = 0

    def append(self, part: Any) -> None:
        end = self.size + len(part)
        if isinstance(self._held, bytearray) and (end <= _SMALL or not self._reserve()):
            self._held += part
        else:
            self._held[self.size : end] = part
        self.size = end

    def _reserve(self) -> bool:
        if not hasattr(mmap, "MADV_HUGEPAGE"):
            return False
        flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | getattr(mmap, "MAP_NORESERVE", 0)
        try:
            room = mmap.mmap(-1, self._limit, flags=flags)
            room.madvise(mmap.MADV_HUGEPAGE)
        except (OSError, ValueError, OverflowError):
            return False
        room[: self.size] = self._held
        self._held = room
        return True

    def content(self) -> memoryview:
        """All of it. Nothing may be appended afterwards."""
        if isinstance(self._held, mmap.mmap):
            with contextlib.suppress(OSError, SystemError, ValueError):
                self._held.resize(self.size)
        return memoryview(self._held)[: self.size]


class Received:
    """Takes the parts of an Arrow IPC stream in their order. Parts are hashed and laid by in a thread of its own.

    Args:
        memory_limit: Beyond how many bytes they are kept in a temporary file.
    """

    def __init__(self, memory_limit: int) -> None:
        self.bytes = 0
        self._limit = memory_limit
        self._room = _Room(memory_limit)
        self._file: IO[bytes] | None = None
        self._hash = hashlib.sha256()
        self._error: BaseException | None = None
        self._buffer: pa.Buffer | None = None
        # Few, so that what comes quicker than it is laid by waits on the other side, and memory of parts is used again.
        self._queue: queue.Queue[Any] = queue.Queue(maxsize=2)
        self._thread = threading.Thread(target=self._take, name="headwater-dataset", daemon=True)
        self._thread.start()

    def add(self, part: Any) -> None:
        """Takes one part, any object with the buffer protocol. It must not change afterwards."""
        if self._error is not None:
            raise self._error
        self.bytes += len(part)
        self._queue.put(part)

    def _take(self) -> None:
        while (part := self._queue.get()) is not None:
            if self._error is not None:
                continue
            try:
                self._hash.update(part)
                if self._file is None and self._room.size + len(part) > self._limit:
                    self._file = tempfile.TemporaryFile(prefix="headwater-", buffering=0)  # noqa: SIM115
                    self._write(self._room.content())
                    self._room = _Room(0)
                if self._file is None:
                    self._room.append(part)
                else:
                    self._write(part)
            except BaseException as error:
                self._error = error

    def _write(self, part: Any) -> None:
        assert self._file is not None
        rest = memoryview(part)
        while rest:
            rest = rest[self._file.write(rest) :]

    def finish(self) -> str:
        """Ends it, and returns the SHA-256 of all bytes, hex."""
        self._queue.put(None)
        self._thread.join()
        if self._error is not None:
            raise self._error
        if self._file is None:
            self._buffer = pa.py_buffer(self._room.content())
        else:
            # The mapping holds the file, which has no name: the space is free when nothing reads from it any more.
            self._buffer = pa.py_buffer(mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ))
            self._file.close()
        return self._hash.hexdigest()

    def drop(self) -> None:
        """Ends it early, and forgets all of it."""
        if self._thread.is_alive():
            self._error = self._error or RuntimeError("dropped")
            self._queue.put(None)
            self._thread.join()
        self._room = _Room(0)
        if self._file is not None:
            self._file.close()

    @property
    def buffer(self) -> pa.Buffer:
        """All bytes, after finish."""
        assert self._buffer is not None
        return self._buffer
