"""How far long work is: one line on a terminal, one bar in a notebook, and nothing anywhere else."""

from __future__ import annotations

import sys
import threading
import time
from types import TracebackType
from typing import Any, TextIO

_WIDTH = 30
_EVERY = 0.1
"""Seconds between two drawings."""


class Progress:
    """What is drawn while a call runs; a context manager. Safe for several threads.

    Args:
        label: What is worked on.
        wanted: True draws wherever a line can be redrawn; False never does; None draws on a terminal and in a notebook.
        stream: Where to; standard error by default.
    """

    def __init__(self, label: str, wanted: bool | None = None, stream: TextIO | None = None) -> None:
        self._label = label
        self._stream = stream if stream is not None else sys.stderr
        self._lock = threading.Lock()
        self._last = 0.0
        self._shown = False
        self._handle: Any = None
        self._display = None if wanted is False else _notebook()
        self._on = wanted is not False and (self._display is not None or wanted is True or _is_terminal(self._stream))

    def show(self, words: str, share: float | None = None) -> None:
        """Draws a bar of a share from 0 to 1 and some words; without a share, the words alone."""
        if not self._on:
            return
        with self._lock:
            now = time.monotonic()
            if now - self._last < _EVERY:
                return
            self._last = now
            self._draw(words, share)

    def _draw(self, words: str, share: float | None) -> None:
        bar = ""
        if share is not None:
            full = int(min(max(share, 0.0), 1.0) * _WIDTH)
            bar = f"[{'#' * full}{'.' * (_WIDTH - full)}] "
        line = f"{self._label} {bar}{words}"
        try:
            if self._display is None:
                self._stream.write(f"\r\x1b[K{line}")
                self._stream.flush()
            elif self._handle is None:
                self._handle = self._display(_Line(line), display_id=True)
            else:
                self._handle.update(_Line(line))
            self._shown = True
        except (OSError, ValueError):
            # A stream that was closed is no reason to end the work.
            self._on = False

    def clear(self) -> None:
        """Takes the line away."""
        with self._lock:
            if not self._shown:
                return
            self._shown = False
            try:
                if self._handle is not None:
                    self._handle.update(_Line(""))
                    self._handle = None
                else:
                    self._stream.write("\r\x1b[K")
                    self._stream.flush()
            except (OSError, ValueError):
                self._on = False

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.clear()


class _Line:
    """A line of text to a notebook's display."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text


def _is_terminal(stream: TextIO) -> bool:
    try:
        return stream.isatty()
    except (AttributeError, ValueError):
        return False


def _notebook() -> Any:
    """IPython's display where this runs in a notebook, else None. IPython is not imported for it."""
    ipython = sys.modules.get("IPython")
    shell = getattr(ipython, "get_ipython", lambda: None)()
    if shell is None or not hasattr(shell, "kernel"):
        return None
    from IPython.display import display

    return display


def rows_of(n: int) -> str:
    """A number of rows, in words."""
    return f"{n:,} row{'' if n == 1 else 's'}"


def size_of(n: int) -> str:
    """A number of bytes, in words."""
    return f"{n / 1e6:,.1f} MB" if n >= 100_000 else f"{n:,} bytes"
