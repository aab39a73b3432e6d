"""Progress is drawn on a terminal and in a notebook, and nowhere else."""

from __future__ import annotations

import io
import sys
import types
from typing import Any

import pytest

import headwater
from headwater import _progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_progress, "_EVERY", 0.0)


def test_a_terminal(client: headwater.Client, flights: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    client.dataset("delay_model_v1", spine=flights, name="shown")
    drawn = terminal.getvalue().split("\r\x1b[K")
    assert "dataset [##############################] 4 rows" in drawn
    assert "dataset 4 rows sent; the server joins them" in drawn
    assert any(line.startswith("dataset ") and line.endswith(" bytes received") for line in drawn)
    assert drawn[-1] == ""
    terminal.truncate(0)
    client.fetch("shown@1", progress=False)
    assert terminal.getvalue() == ""


def test_no_terminal(client: headwater.Client, capfd: pytest.CaptureFixture[str]) -> None:
    client.fetch("shown@1")
    assert capfd.readouterr() == ("", "")
    client.fetch("shown@1", progress=True)
    assert "received" in capfd.readouterr().err


def test_a_notebook(client: headwater.Client, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    shown: list[str] = []

    class Handle:
        def update(self, what: Any) -> None:
            shown.append(repr(what))

    def display(what: Any, *, display_id: bool) -> Handle:
        assert display_id
        shown.append(repr(what))
        return Handle()

    ipython, displays = types.ModuleType("IPython"), types.ModuleType("IPython.display")
    ipython.get_ipython = lambda: types.SimpleNamespace(kernel=object())  # type: ignore[attr-defined]
    displays.display = display  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", displays)
    client.fetch("shown@1")
    assert shown[0] == "dataset asked for"
    assert shown[-2].endswith("received")
    assert shown[-1] == ""
    assert capfd.readouterr() == ("", "")


def test_a_stream_that_is_closed(client: headwater.Client) -> None:
    terminal = Terminal()
    with _progress.Progress("work", None, terminal) as bar:
        bar.show("half", 0.5)
        assert terminal.getvalue() == "\r\x1b[Kwork [###############...............] half"
        terminal.close()
        bar.show("whole", 1.0)


def test_words() -> None:
    assert _progress.rows_of(1) == "1 row"
    assert _progress.rows_of(1234567) == "1,234,567 rows"
    assert _progress.size_of(99_999) == "99,999 bytes"
    assert _progress.size_of(123_456_789) == "123.5 MB"
