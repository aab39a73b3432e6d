"""The examples of docs/python.md, and what is installed."""

from __future__ import annotations

import doctest
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

import headwater

PYTHON = Path(__file__).resolve().parents[1]


def test_the_page(server: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("HEADWATER_SERVER", server.address)
    monkeypatch.setenv("HEADWATER_TOKEN", server.token)
    page = PYTHON.parent / "docs" / "python.md"
    failed, tried = doctest.testfile(
        str(page), module_relative=False, optionflags=doctest.NORMALIZE_WHITESPACE | doctest.REPORT_NDIFF
    )
    assert tried > 20
    assert not failed, capsys.readouterr().out


def test_the_wheel(tmp_path: Path) -> None:
    # Setuptools leaves its work beside what it builds.
    source = tmp_path / "source"
    shutil.copytree(PYTHON / "src", source / "src", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(PYTHON / name, source)
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "wheel",
            "--quiet",
            "--no-deps",
            "--no-build-isolation",
            "--no-index",
            "-w",
            tmp_path,
            source,
        ],
        check=True,
        env={**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
    )
    (wheel,) = tmp_path.glob("*.whl")
    assert wheel.name == f"headwater-{headwater.__version__}-py3-none-any.whl"
    names = zipfile.ZipFile(wheel).namelist()
    assert {
        "headwater/py.typed",
        "headwater/__init__.py",
        "headwater/v1/dataset_pb2.py",
        "headwater/v1/dataset_pb2.pyi",
    } <= set(names)
    assert {n.partition("/")[0] for n in names} == {"headwater", f"headwater-{headwater.__version__}.dist-info"}


def test_what_it_needs() -> None:
    """Neither pandas nor polars, nor modules that another package may bring."""
    code = """
import sys
for name in ("pandas", "polars", "numpy", "grpc_tools", "buf"):
    sys.modules[name] = None
import headwater, headwater.v1.registry_pb2, pyarrow as pa
from headwater._frames import to_pandas, to_polars
for convert in (lambda t: to_pandas(t, None), to_polars):
    try:
        convert(pa.table({"x": [1]}))
    except ImportError as error:
        print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.splitlines() == [
        "pandas is not installed: pip install 'headwater[pandas]'",
        "polars is not installed: pip install 'headwater[polars]'",
    ]
