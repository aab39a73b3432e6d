"""The bytes of a result: kept in memory while they are few and in a file without a name beyond that, and hashed on the way."""

from __future__ import annotations

import hashlib
import mmap
import queue
import tempfile
import threading
from typing import IO, Any

import pyarrow as pa


class Received:
    """Takes the parts of an Arrow IPC stream in their order. Parts are hashed and laid by in a thread of its own.

    Args:
        memory_limit: Beyond how many bytes they are kept in a temporary file.
    """

    def __init__(self, memory_limit: int) -> None:
        self.bytes = 0
        self._limit = memory_limit
        # One piece from the start: where it grows it is moved by the kernel, not copied, and Arrow reads it where it lies.
        self._held = bytearray()
        self._file: IO[bytes] | None = None
        self._hash = hashlib.sha256()
        self._error: BaseException | None = None
        self._buffer: pa.Buffer | None = None
        # Few, so that what comes quicker than it is laid by waits on the other side.
        self._queue: queue.Queue[Any] = queue.Queue(maxsize=8)
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
                if self._file is None and len(self._held) + len(part) > self._limit:
                    self._file = tempfile.TemporaryFile(prefix="headwater-", buffering=0)  # noqa: SIM115
                    self._write(self._held)
                    self._held = bytearray()
                if self._file is None:
                    self._held += part
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
            self._buffer = pa.py_buffer(self._held)
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
        self._held = bytearray()
        if self._file is not None:
            self._file.close()

    @property
    def buffer(self) -> pa.Buffer:
        """All bytes, after finish."""
        assert self._buffer is not None
        return self._buffer
