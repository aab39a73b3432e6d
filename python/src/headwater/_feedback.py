"""Feedback: what models predicted, and what became of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, TypeVar

import pyarrow as pa
from google.protobuf.timestamp_pb2 import Timestamp

from headwater._connection import Connection
from headwater._online import Handed
from headwater.errors import InvalidArgumentError
from headwater.v1 import feedback_pb2, feedback_pb2_grpc, value_pb2

BATCH = 1000
"""How many predictions or outcomes a server takes at once; as many calls are made as it takes."""

_OWN = {"id": pa.string(), "time": None, "prediction": None, "score": pa.float64(), "read_id": pa.string(), "row": pa.int64()}
"""The columns of predictions that are not join keys, with their types; of None that of each value is taken."""


@dataclass(frozen=True)
class Logged:
    """What became of predictions that were logged."""

    logged: int = 0
    """Those that are kept now and were not before."""
    duplicates: int = 0
    """Those that were there already."""
    erased: int = 0
    """Those that are not kept, since an erasure took them away before."""
    joined: int = 0
    """Outcomes that had waited for the new ones."""
    without_read: int = 0
    """New ones whose read is not in the log of reads, or not yet."""


@dataclass(frozen=True)
class Reported:
    """What became of outcomes that were reported."""

    recorded: int = 0
    """The first of their predictions."""
    revised: int = 0
    """Those that took the place of another."""
    duplicates: int = 0
    """Those that say what was known already."""
    outdated: int = 0
    """Those that were known before one that counts."""
    parked: int = 0
    """Of the recorded and revised: those that wait for their predictions."""
    erased: int = 0
    """Those that are not kept, since an erasure took their predictions away."""


_Counts = TypeVar("_Counts", Logged, Reported)


class Feedback:
    """The calls of FeedbackService that keep something."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._stub = feedback_pb2_grpc.FeedbackServiceStub(connection.channel)  # type: ignore[no-untyped-call]

    def log(self, model: str, rows: Any, keys: Callable[[], Mapping[str, pa.DataType | None]]) -> Logged:
        """Logs predictions. keys are the types of join keys, asked for where there are some."""
        handed = _handed("predictions", rows, ("id", "time"))
        names = [name for name in handed.columns if name not in _OWN]
        values = handed.messages({**(keys() if names else {}), **_OWN})
        given = [_prediction(i, row, names) for i, row in enumerate(_rows(values), 1)]
        done = Logged()
        for at in range(0, len(given), BATCH):
            request = feedback_pb2.LogPredictionsRequest(model=model, predictions=given[at : at + BATCH])
            done = _sum(done, self._connection.call(self._stub.LogPredictions, request))
        return done

    def report(self, model: str, rows: Any) -> Reported:
        """Reports outcomes."""
        handed = _handed("outcomes", rows, ("id", "actual"))
        unknown = [name for name in handed.columns if name not in ("id", "actual", "time")]
        if unknown:
            raise InvalidArgumentError(f"outcomes: found column {unknown[0]}, expected only id, actual and time")
        given = []
        for i, row in enumerate(_rows(handed.messages({"id": pa.string()})), 1):
            outcome = feedback_pb2.Outcome(id=_id("outcomes", i, row["id"]), actual=row["actual"])
            if "time" in row and row["time"].WhichOneof("kind"):
                outcome.time.CopyFrom(_time("outcomes", i, row["time"]))
            given.append(outcome)
        done = Reported()
        for at in range(0, len(given), BATCH):
            request = feedback_pb2.ReportOutcomesRequest(model=model, outcomes=given[at : at + BATCH])
            done = _sum(done, self._connection.call(self._stub.ReportOutcomes, request))
        return done


def _handed(what: str, rows: Any, must: Sequence[str]) -> Handed:
    handed = Handed(what, rows)
    for name in must:
        if name not in handed.columns:
            found = ", ".join(handed.columns) or "none"
            raise InvalidArgumentError(f"{what}: found no column {name}, expected one; there is {found}")
    return handed


def _rows(columns: Mapping[str, Sequence[value_pb2.Value]]) -> Iterator[dict[str, value_pb2.Value]]:
    for values in zip(*columns.values(), strict=True):
        yield dict(zip(columns, values, strict=True))


def _prediction(i: int, row: Mapping[str, value_pb2.Value], keys: Sequence[str]) -> feedback_pb2.Prediction:
    none = value_pb2.Value()
    out = feedback_pb2.Prediction(
        id=_id("predictions", i, row["id"]),
        read_id=row.get("read_id", none).string_value,
        row=row.get("row", none).int64_value,
        time=_time("predictions", i, row["time"]),
    )
    prediction = row.get("prediction", none)
    if prediction.WhichOneof("kind"):
        out.prediction.CopyFrom(prediction)
    score = row.get("score", none)
    if score.WhichOneof("kind"):
        out.score = score.float64_value
    if not out.read_id:
        for name in keys:
            out.keys[name].CopyFrom(row[name])
    return out


def _id(what: str, i: int, v: value_pb2.Value) -> str:
    if not v.string_value:
        raise InvalidArgumentError(f"{what}: id of row {i}: found nothing, expected the id of a prediction, as text")
    return v.string_value


def _time(what: str, i: int, v: value_pb2.Value) -> Timestamp:
    if v.WhichOneof("kind") != "timestamp_value":
        raise InvalidArgumentError(f"{what}: time of row {i}: found {v.WhichOneof('kind') or 'nothing'}, expected a datetime")
    return v.timestamp_value


def _sum(done: _Counts, message: Any) -> _Counts:
    counts = {f.name: getattr(done, f.name) + getattr(message, f.name) for f in fields(done)}
    return type(done)(**counts)
