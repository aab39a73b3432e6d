"""Online reads, whatever entities come in."""

from __future__ import annotations

import datetime as dt
import decimal
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import headwater
from headwater import _online
from headwater.errors import InvalidArgumentError
from headwater.v1 import value_pb2

SERVICE = "delay_model_v1"
ENTITIES = [
    {"origin": "ORD", "destination": "LAX"},
    {"origin": "ATL", "destination": None},
    {"origin": "XXX", "destination": "LAX"},
]


def test_values_and_statuses(client: headwater.Client) -> None:
    found = client.get_features(SERVICE, ENTITIES, purpose="tests", provenance=True)
    assert len(found) == 3
    assert found.service == "delay_model_v1@1"
    assert found.read_id.startswith("rd_")
    assert found.position == 3
    assert dt.timedelta(0) <= dt.datetime.now(dt.timezone.utc) - found.served_at < dt.timedelta(hours=1)
    assert found.names[3] == "route_delays__mean_delay"
    assert found.refs[3] == "route_delays@1.mean_delay"
    assert found.statuses["airport_delays__departures"] == ["PRESENT", "PRESENT", "NO_ROW"]
    assert found.statuses["route_delays__mean_delay"] == ["PRESENT", "NO_KEY", "NO_ROW"]
    table = found.to_arrow(statuses=True)
    assert table.column_names[:4] == [
        "origin",
        "destination",
        "airport_delays__departures",
        "airport_delays__departures__status",
    ]
    assert table["route_delays__mean_delay__status"].to_pylist() == ["PRESENT", "NO_KEY", "NO_ROW"]
    assert table["route_delays__mean_delay"].null_count == 2
    assert found.to_arrow(keys=False).column_names == found.names
    assert found.to_dicts(keys=False) == found.to_arrow().select(found.names).to_pylist()
    assert found.to_polars().shape == (3, 7)
    assert found.to_pandas(statuses=True).shape == (3, 12)
    assert found.to_pandas()["airport_delays__departures"].dtype == "Int64"
    where = found.provenance()
    assert where.num_rows == 6
    assert where["entity"].to_pylist() == [0, 0, 1, 1, 2, 2]
    assert where["run_seq"].to_pylist() == [1, 1, 1, None, None, None]
    assert where["event_time"][0].as_py() == dt.datetime(2001, 1, 8, tzinfo=dt.timezone.utc)
    assert client.get_features(SERVICE, ENTITIES).provenance().num_rows == 0
    assert "3 entities, 5 features" in repr(found)
    assert "NO_KEY" in found._repr_html_()


def test_features_by_reference(client: headwater.Client) -> None:
    of_service = client.get_features(SERVICE, ENTITIES)
    found = client.get_features(
        features=["route_delays.mean_delay", "airport_delays@1"], entities=ENTITIES, provenance=True, purpose="tests"
    )
    assert found.service == ""
    assert found.refs == [
        "route_delays@1.mean_delay",
        "airport_delays@1.departures",
        "airport_delays@1.mean_delay",
        "airport_delays@1.late_share",
    ]
    for name in ("route_delays__mean_delay", "airport_delays__departures"):
        assert found.to_arrow()[name].equals(of_service.to_arrow()[name])
        assert found.statuses[name] == of_service.statuses[name]
    assert set(found.provenance()["prefix"].to_pylist()) == {""}
    assert "Features of a list: 3 entities, 4 features" in repr(found)


def test_joins(client: headwater.Client) -> None:
    airports = client.get_features(
        features=["airport_delays.departures"], entities={"origin": ["ORD", "LAX", "XXX"]}
    ).to_dicts()
    departures = {row["origin"]: row["airport_delays__departures"] for row in airports}
    assert departures["LAX"] is not None
    found = client.get_features(
        features=["airport_delays.departures"],
        entities=[{"from": "ORD", "to": "LAX"}, {"from": "LAX", "to": "XXX"}],
        joins=[headwater.Join("from_", {"origin": "from"}), headwater.Join("to_", {"origin": "to"})],
        provenance=True,
    )
    assert found.names == ["from_airport_delays__departures", "to_airport_delays__departures"]
    assert found.to_dicts(keys=False) == [
        {"from_airport_delays__departures": departures["ORD"], "to_airport_delays__departures": departures["LAX"]},
        {"from_airport_delays__departures": departures["LAX"], "to_airport_delays__departures": None},
    ]
    where = found.provenance().to_pylist()
    assert [(row["entity"], row["prefix"], row["run_seq"]) for row in where] == [
        (0, "from_", 1),
        (0, "to_", 1),
        (1, "from_", 1),
        (1, "to_", None),
    ]


def test_inputs_of_features_by_reference(client: headwater.Client) -> None:
    entities = {"item": [1, 2]}
    inputs = [
        {
            "paid": decimal.Decimal("7.49"),
            "factor": 3,
            "words": ["a", "b"],
            "at_place": [0.5, 2],
            "deadline": dt.datetime(2001, 1, 2, tzinfo=dt.timezone.utc),
        }
    ]
    by_service = client.get_features("asked_model", entities, inputs=inputs)
    paid = [{"paid": inputs[0]["paid"]}]
    found = client.get_features(features=["asked.more"], entities=entities, inputs=paid)
    assert found.to_arrow()["asked__more"].equals(by_service.to_arrow()["asked__more"])
    assert found.statuses["asked__more"] == by_service.statuses["asked__more"] == ["PRESENT", "NULL"]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({}, "found neither service nor features, expected one of them"),
        ({"service": SERVICE, "features": ["airport_delays"]}, "found service and features, expected one of them"),
        ({"features": "airport_delays"}, "features: found the text 'airport_delays', expected a list of references"),
        ({"features": [7]}, "features: found 7 of type int, expected text"),
        (
            {"features": ["airport_delays"], "joins": [headwater.Join("a_", {"origin": 7})]},  # type: ignore[dict-item]
            "join a_: key_mapping: found 'origin': 7, expected the names of a join key and of a column, as text",
        ),
    ],
)
def test_what_cannot_be_asked_for(client: headwater.Client, asked: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidArgumentError, match=said):
        client.get_features(entities=ENTITIES, **asked)


def test_every_form_of_entities(client: headwater.Client) -> None:
    wanted = client.get_features(SERVICE, ENTITIES).to_dicts()
    table = pa.Table.from_pylist(ENTITIES)
    for form in (
        table,
        table.to_pandas(),
        pl.DataFrame(ENTITIES),
        table.to_pydict(),
        iter(ENTITIES),
        {"origin": pd.Series(["ORD", "ATL", "XXX"]), "destination": ["LAX", None, "LAX"]},
    ):
        assert client.get_features(SERVICE, form).to_dicts() == wanted
    one = client.get_features(SERVICE, {"origin": "ORD", "destination": "LAX"})
    assert one.to_dicts() == wanted[:1]
    mapped = client.get_features(SERVICE, {"from": "ORD", "destination": "LAX"}, key_mapping={"origin": "from"})
    assert mapped.to_dicts(keys=False) == one.to_dicts(keys=False)


def test_more_entities_than_a_call_takes(client: headwater.Client) -> None:
    n = 2345
    found = client.get_features("offer_model", {"item": range(n)}, provenance=True)
    assert len(found) == found.to_arrow().num_rows == n
    assert len(found.read_ids) == len(set(found.read_ids)) == 3
    assert found.statuses["offer__number"][:4] == ["NO_ROW", "PRESENT", "NO_ROW", "NULL"]
    assert found.provenance()["entity"].to_pylist() == list(range(n))


@pytest.mark.parametrize(
    ("entities", "said"),
    [
        (None, "entities: found none, expected at least one"),
        ([], "entities: found none, expected at least one"),
        ("ORD", "entities: found str, expected a list of dicts"),
        (["ORD"], "entities: entity 1: found str, expected a dict of name to value"),
        (
            {"origin": ["A", "B"], "destination": ["C"]},
            r"entities: found columns of unequal lengths \(origin 2, destination 1\)",
        ),
        ([{"origin": "A", "destination": 1}], "entities: destination of entity 1: found 1 of type int, expected string"),
        ([{"origin": "A", "destination": "B", "hour": 3}], "no view of service delay_model_v1 has a join key of this name"),
        ([{"origin": object(), "destination": "B"}], "of type object, expected string"),
    ],
)
def test_entities_that_cannot_be_used(client: headwater.Client, entities: Any, said: str) -> None:
    with pytest.raises(InvalidArgumentError, match=said):
        client.get_features(SERVICE, entities)


def test_inputs_for_other_entities(client: headwater.Client) -> None:
    with pytest.raises(
        InvalidArgumentError, match="inputs: found values for 2 entities, expected as many as there are entities, 3"
    ):
        client.get_features("asked_model", {"item": [1, 2, 3]}, inputs={"factor": [1.0, 2.0]})


def test_browsing(client: headwater.Client) -> None:
    features = client.features()
    assert [f.ref for f in features if f.view == "airport_delays"] == [
        "airport_delays@1.departures",
        "airport_delays@1.mean_delay",
        "airport_delays@1.late_share",
    ]
    asked = next(f for f in features if f.view == "asked")
    assert (asked.column, asked.on_demand, asked.entity) == ("asked__more", True, "")
    delay = features.search("ROUTE arrival")
    assert [(f.name, f.type, f.entity, f.owner) for f in delay] == [("mean_delay", "float64", "route", "flights-team")]
    frame = features.to_pandas()
    assert list(frame["view"].unique()) == ["airport_delays", "asked", "offer", "route_delays"]
    assert "<td>offer@1.prices</td><td>list(decimal(12, 2))</td>" in features._repr_html_()
    assert client.features("route_delays@1") == client.features("route_delays")


def test_a_stale_null_is_none() -> None:
    stale = value_pb2.ValueVector(
        type=value_pb2.VALUE_TYPE_INT64, status_of_all=value_pb2.VALUE_STATUS_STALE, int64s=[0, 0], nulls=[1]
    )
    assert _online._array(stale, "flights").to_pylist() == [0, None]
