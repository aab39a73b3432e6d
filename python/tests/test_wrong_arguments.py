"""What is handed in wrongly is said to be so by an error of this package, and what can be taken is."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable
from typing import Any

import grpc
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import headwater
from headwater._connection import Connection
from headwater._spine import Spine
from headwater.errors import CancelledError, DeadlineExceededError, InvalidArgumentError, InvalidSpineError

SERVICE = "delay_model_v1"
AT = dt.datetime(2001, 1, 5, 12, tzinfo=dt.timezone.utc)
ROW = {"origin": "ORD", "destination": "LAX", "timestamp": AT}


def sent(spine: Any) -> pa.Table:
    """What the server gets of a spine."""
    return pa.ipc.open_stream(b"".join(Spine(spine).parts())).read_all()


@pytest.mark.parametrize(
    ("spine", "said"),
    [
        ({"a": [2**70]}, "Python int too large"),
        ({"a": ["\ud800"]}, "surrogates not allowed"),
        ([{"a": "\ud800"}], "column a: .*surrogates not allowed"),
        (pd.DataFrame({"a": ["x"] * 40_000 + ["\ud800"]}, dtype=object), "surrogates not allowed"),
        (
            {"a": 1},
            "column a: found int, expected a list or an array with a value for each row; a single row is a list of one dict",
        ),
        ({"a": "xy"}, "column a: found str"),
        (pl.Series([1, 2]), "cannot be made Arrow"),
    ],
    ids=str,
)
def test_spines_that_cannot_be_sent(spine: Any, said: str) -> None:
    with pytest.raises(InvalidSpineError, match=said):
        sent(spine)


def test_what_a_generator_fails_with_is_its_own() -> None:
    def rows() -> Any:
        raise OverflowError("mine")
        yield

    with pytest.raises(OverflowError, match="mine"):
        sent(rows())


def test_names_that_are_no_text() -> None:
    frame = pd.DataFrame([[1, "x"]], columns=[0, "b"])
    assert sent(frame).to_pydict() == {"0": [1], "b": ["x"]}
    assert list(frame.columns) == [0, "b"]
    pairs = pd.DataFrame([[1]], columns=pd.MultiIndex.from_tuples([("a", "b")]))
    assert sent(pairs).column_names == ["('a', 'b')"]
    assert sent([{0: 1}]).column_names == ["0"]
    assert sent({0: [1]}).column_names == ["0"]


def test_views_of_lists() -> None:
    for type_ in (pa.list_view(pa.int32()), pa.large_list_view(pa.int32())):
        column = pa.array([[1, 2], None, [], [3]], type_)
        found = sent(pa.table({"a": pa.chunked_array([column, column.slice(1)])}))["a"]
        assert found.type == pa.list_(pa.int64())
        assert found.to_pylist() == [[1, 2], None, [], [3], None, [], [3]]


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda c: c.fetch(None), "dataset: found NoneType, expected an id or NAME@VERSION"),
        (lambda c: c.dataset(SERVICE, spine=[ROW], as_of=5), "as_of: found 5 of type int"),
        (lambda c: c.dataset(SERVICE, spine=[ROW], as_of=dt.date(2001, 1, 1)), "as_of: found .* of type date"),
        (lambda c: c.dataset(SERVICE, spine=[ROW], key_mapping={"origin": 5}), "key_mapping: found 'origin': 5"),
        (
            lambda c: c.dataset(SERVICE, spine=[ROW], joins=[headwater.Join("a_", {1: "x"})]),
            "join a_: key_mapping: found 1: 'x'",
        ),  # type: ignore[dict-item]
        (lambda c: c.dataset(SERVICE, spine=[ROW], name=3), "name: found 3 of type int, expected text"),
        (lambda c: c.dataset(features=[3], spine=[ROW]), "features: found 3 of type int"),
        (
            lambda c: c.dataset(SERVICE, events=headwater.Events("flights", start="2001")),  # type: ignore[arg-type]
            "events: start: found '2001' of type str, expected a datetime",
        ),
        (lambda c: c.get_features(7, [ROW]), "service: found 7 of type int"),
        (lambda c: c.get_features(SERVICE, pa.table([["a"], ["b"]], names=["origin", "origin"])), "column origin twice"),
        (lambda c: c.get_features(SERVICE, pd.DataFrame([["a", "b"]], columns=["origin", "origin"])), "column origin twice"),
        (lambda c: c.get_features(SERVICE, pl.Series(["ORD"])), "entity 1: found str, expected a dict"),
        (lambda c: c.get_features(SERVICE, [{1: "ORD"}]), "column destination|column 1|column origin"),
    ],
)
def test_arguments_of_a_wrong_type(client: headwater.Client, ask: Callable[[Any], Any], said: str) -> None:
    with pytest.raises(InvalidArgumentError, match=said):
        ask(client)


class Ended(grpc.RpcError):
    """The call of a server that ended it first."""

    def code(self) -> grpc.StatusCode:
        return grpc.StatusCode.CANCELLED

    def details(self) -> str:
        return ""

    def trailing_metadata(self) -> None:
        return None


def connection() -> Connection:
    return Connection("127.0.0.1:1", None, token_file=None, tls=None, ca_file=None, cert_file=None, key_file=None, timeout=None)


def test_a_deadline_is_one_whoever_ends_the_call() -> None:
    def method(request: Any, *, timeout: float | None, metadata: Any) -> None:
        if timeout is not None:
            threading.Event().wait(timeout)
        raise Ended

    made = connection()
    with pytest.raises(DeadlineExceededError, match="did not answer in time"):
        made.call(method, None, timeout=0.01)
    with pytest.raises(CancelledError):
        made.call(method, None)


def test_calls_of_a_client_that_is_closed_meanwhile() -> None:
    class Future:
        def result(self) -> None:
            raise grpc.FutureCancelledError

    class Method:
        def future(self, request: Any, **kwargs: Any) -> Future:
            return Future()

    with pytest.raises(CancelledError, match="cancelled before it was done"):
        connection().calls(Method(), [1])  # type: ignore[arg-type]
