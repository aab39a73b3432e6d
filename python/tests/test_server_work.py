"""What a dataset may have the server do beside joining: statuses, leaving rows out, reading the spine, comparing, deleting."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pyarrow as pa
import pytest

import headwater
from headwater.errors import InvalidArgumentError, NotFoundError

SERVICE = "delay_model_v1"
START = dt.datetime(2001, 1, 5, tzinfo=dt.timezone.utc)


def test_statuses(client: headwater.Client, flights: list[dict[str, Any]]) -> None:
    found = client.dataset(SERVICE, spine=flights, name="statuses", with_statuses=True)
    plain = client.dataset(SERVICE, spine=flights, name="statuses")
    assert found.features == plain.features
    table = found.to_arrow()
    assert table.column_names[4:6] == ["airport_delays__departures", "airport_delays__departures__status"]
    assert table.num_columns == 4 + 2 * len(found.features)
    assert table["airport_delays__departures__status"].to_pylist() == ["PRESENT", "PRESENT", "PRESENT", "NO_ROW"]
    assert table.select(plain.schema.names).equals(plain.to_arrow())


def test_summaries(train: headwater.Dataset) -> None:
    delay, departures = (
        next(c for c in train.manifest.columns if c.name == n) for n in ("delay", "airport_delays__departures")
    )
    assert (delay.min, delay.max, delay.mean, delay.distinct, delay.nans) == (-4, 31, 9.75, 4, 0)
    assert (departures.min, departures.max, departures.mean, departures.nulls) == (1, 65, 34.0, 1)
    origin = next(c for c in train.manifest.columns if c.name == "origin")
    assert (origin.min, origin.max, origin.mean) == ("ATL", "XXX", None)


@pytest.mark.parametrize(
    ("rule", "kept"),
    [
        (headwater.LeaveOut(any_missing=True), ["ORD", "ATL", "SFO"]),
        (headwater.LeaveOut(all_missing=True), ["ORD", "ATL", "SFO"]),
        (headwater.LeaveOut(any_missing=["delay"]), ["ORD", "ATL", "SFO", "XXX"]),
        (headwater.LeaveOut(condition="row.delay > 20"), ["ORD", "ATL", "XXX"]),
    ],
)
def test_leaving_out(
    client: headwater.Client, flights: list[dict[str, Any]], rule: headwater.LeaveOut, kept: list[str]
) -> None:
    found = client.dataset(SERVICE, spine=flights, name="left_out", leave_out=[rule])
    assert found.to_arrow()["origin"].to_pylist() == kept
    assert found.manifest.left_out == 4 - len(kept)
    assert found.num_rows == len(kept)
    with pytest.raises(InvalidArgumentError):
        client.dataset(SERVICE, spine=flights, leave_out=[headwater.LeaveOut(condition="row.nothing > 1")])


def test_events_as_a_spine(client: headwater.Client) -> None:
    events = headwater.Events("flights", START, START.replace(hour=2), columns=["origin", "destination", "delay"])
    found = client.dataset(SERVICE, events=events, name="events")
    assert found.manifest.message.timestamp_column == "date"
    times = found.to_arrow()["date"]
    assert 0 < found.num_rows < 1000
    assert pa.compute.min(times).as_py() >= START
    assert pa.compute.max(times).as_py() < START.replace(hour=2)
    assert client.fetch(found.id).to_arrow().equals(found.to_arrow())


def test_a_query_as_a_spine(client: headwater.Client) -> None:
    query = headwater.Query(
        "SELECT origin, destination, event_time AS timestamp, delay > 15 AS late FROM flights "
        "WHERE event_time >= '2001-01-05 00:00Z' AND event_time < '2001-01-05 02:00Z'",
        ["flights"],
    )
    found = client.dataset(SERVICE, query=query, name="query")
    events = client.dataset(SERVICE, events=headwater.Events("flights", START, START.replace(hour=2)), name="events")
    assert found.num_rows == events.num_rows
    assert found.schema.field("late").type == pa.bool_()
    assert "delay > 15" in found.manifest.to_dict()["spine_origin"]["sql"]


def test_compared(client: headwater.Client, flights: list[dict[str, Any]]) -> None:
    a = client.dataset(SERVICE, spine=flights, name="compared")
    b = client.dataset(SERVICE, spine=[flights[0] | {"delay": 13}, *flights[1:]], name="compared")
    assert client.diff(a.id, "compared@1").same
    found = client.diff(a.id, b.id)
    assert not found.same
    assert found.columns["delay"] == 1
    assert found.rows["differ"] == 1
    assert "1 differ" in repr(found)


def test_deleted(client: headwater.Client, flights: list[dict[str, Any]]) -> None:
    gone = client.dataset(SERVICE, spine=flights, name="deleted")
    assert client.delete(gone.id, reason="tests").state == "DELETED"
    assert client.manifest(gone.id).state == "DELETED"
    with pytest.raises(NotFoundError, match="deleted"):
        client.fetch(gone.id)
    # What was received stays.
    assert gone.to_arrow().num_rows == 4
