"""Predictions and outcomes, whatever rows come in."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import headwater
from headwater.errors import AlreadyExistsError, InvalidArgumentError, NotFoundError

MODEL = "delay_model"
NOW = dt.datetime.now(dt.timezone.utc)
KEYS = {"origin": "ORD", "destination": "LAX"}


def test_predictions_by_keys_are_logged_once(client: headwater.Client) -> None:
    rows = [{"id": f"keys-{i}", "time": NOW, "prediction": i % 2 == 0, "score": i / 3000, **KEYS} for i in range(2500)]
    assert client.log_predictions(MODEL, rows) == headwater.Logged(logged=2500)
    assert client.log_predictions(f"{MODEL}@1", pd.DataFrame(rows[:10])) == headwater.Logged(duplicates=10)
    with pytest.raises(
        AlreadyExistsError, match=r'predictions\[0\].id: found "keys-3", under which model delay_model has another'
    ):
        client.log_predictions(MODEL, [{**rows[3], "score": 0.9}])


@pytest.mark.parametrize("made", [list, pd.DataFrame, pl.DataFrame, pa.Table.from_pylist])
def test_forms(client: headwater.Client, made: Any, request: pytest.FixtureRequest) -> None:
    name = request.node.callspec.id
    rows = [{"id": f"{name}-{i}", "time": NOW, "prediction": 1.5 * i, **KEYS} for i in range(3)]
    outcomes = [{"id": f"{name}-{i}", "actual": 2.0, "time": NOW} for i in range(4)]
    assert client.report_outcomes(MODEL, made(outcomes)) == headwater.Reported(recorded=4, parked=4)
    assert client.log_predictions(MODEL, made(rows)) == headwater.Logged(logged=3, joined=3)


def test_outcomes_are_revised(client: headwater.Client) -> None:
    def report(actual: Any, seconds: int | None = None) -> headwater.Reported:
        row = {"id": "revised", "actual": actual}
        if seconds is not None:
            row["time"] = NOW + dt.timedelta(seconds=seconds)
        return client.report_outcomes(MODEL, [row])

    assert report("late", 0) == headwater.Reported(recorded=1, parked=1)
    assert report("late") == headwater.Reported(duplicates=1)
    assert report("on time", 60) == headwater.Reported(revised=1, parked=1)
    assert report("late", 30) == headwater.Reported(outdated=1)
    assert report(None, 90) == headwater.Reported(revised=1, parked=1)


def test_reads_that_are_not_logged_are_counted(client: headwater.Client) -> None:
    row = {"id": "elsewhere", "time": NOW, "prediction": "late", "read_id": "rd_elsewhere"}
    assert client.log_predictions(MODEL, [row]) == headwater.Logged(logged=1, without_read=1)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([{"id": "x"}], "predictions: found no column time, expected one; there is id"),
        ([{"id": None, "time": NOW}], "predictions: id of row 1: found nothing, expected the id of a prediction, as text"),
        ([{"id": "x", "time": "now"}], "predictions: time of row 1: found string_value, expected a datetime"),
        ([{"id": 7, "time": NOW}], "predictions: id of entity 1: found 7 of type int, expected string"),
        (
            [{"id": "x", "time": NOW, "score": 2.0, **KEYS}],
            r"predictions\[0\].score: found 2, expected a probability, from 0 to 1",
        ),
        ([{"id": "x", "time": NOW, "score": 0.2}], r"predictions\[0\].read_id: found neither a read nor keys"),
        ("rows", "predictions: found str, expected a list of dicts"),
    ],
)
def test_wrong_predictions(client: headwater.Client, rows: Any, said: str) -> None:
    with pytest.raises(InvalidArgumentError, match=said):
        client.log_predictions(MODEL, rows)


def test_wrong_outcomes(client: headwater.Client) -> None:
    with pytest.raises(InvalidArgumentError, match="outcomes: found column score, expected only id, actual and time"):
        client.report_outcomes(MODEL, [{"id": "x", "actual": 1, "score": 2}])
    with pytest.raises(InvalidArgumentError, match="outcomes: found no column actual, expected one; there is id"):
        client.report_outcomes(MODEL, [{"id": "x"}])
    with pytest.raises(NotFoundError, match="there is no model nobody; `headwater model list` shows those there are"):
        client.report_outcomes("nobody", [{"id": "x", "actual": 1}])
