"""Datasets: whatever the spine comes in, one row for each of it, checked, and to be had again."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import headwater
from headwater import _dataset, _received
from headwater.errors import (
    InvalidArgumentError,
    InvalidSpineError,
    NotFoundError,
    NotMaterializedError,
    PermissionDeniedError,
)

SERVICE = "delay_model_v1"
NOON = dt.datetime(2001, 1, 5, 12, tzinfo=dt.timezone.utc)


@pytest.fixture(scope="module")
def spine() -> pa.Table:
    whole = pq.read_table(Path(__file__).parents[2] / "examples/flights/data/spine.parquet")
    return whole.filter(pa.compute.less(whole["timestamp"], dt.datetime(2001, 1, 8))).slice(0, 3000)


@pytest.fixture(scope="module")
def built(client: headwater.Client, spine: pa.Table) -> headwater.Dataset:
    return client.dataset(SERVICE, spine=spine, name="built", purpose="tests")


def test_one_row_for_each_of_the_spine_in_its_order(built: headwater.Dataset, spine: pa.Table) -> None:
    table = built.to_arrow()
    assert table.num_rows == len(built) == built.manifest.rows == spine.num_rows
    assert table["origin"].to_pylist() == spine["origin"].to_pylist()
    assert table["delay"].to_pylist() == spine["delay"].to_pylist()
    assert table.schema == built.schema
    assert table.schema.field("timestamp").type == pa.timestamp("us", tz="UTC")
    assert built.features == table.column_names[4:]
    m = built.manifest
    assert (m.name, m.version, m.ref, m.state, m.service) == ("built", 1, "built@1", "RELEASED", "delay_model_v1@1")
    assert m.views == {"airport_delays@1": 1, "route_delays@1": 1}
    assert m.purpose == "tests"
    assert m.principal == "admin"
    assert dt.timedelta(0) <= dt.datetime.now(dt.timezone.utc) - m.created_at < dt.timedelta(hours=1)
    assert [c.name for c in m.columns] == table.column_names
    for column, values in zip(m.columns, table.columns, strict=True):
        assert column.nulls == values.null_count
        if column.origin != "spine":
            assert sum(column.statuses.values()) == m.rows
    assert m.to_dict()["created_at"] == m.created_at
    assert '"state": "RELEASED"' in m.to_json()


def spines(table: pa.Table) -> dict[str, Any]:
    frame = table.to_pandas()
    return {
        "arrow table": table,
        "arrow batch": table.combine_chunks().to_batches()[0],
        "arrow batches": table.to_batches(max_chunksize=7),
        "arrow reader": table.to_reader(max_chunksize=100),
        "generator of batches": (b for b in table.to_batches(max_chunksize=1000)),
        "generator of tables": (table.slice(i, 1000) for i in range(0, 3000, 1000)),
        "pandas": frame,
        "pandas with a zone": frame.assign(timestamp=frame["timestamp"].dt.tz_localize("UTC").dt.tz_convert("America/Chicago")),
        "pandas in nanoseconds": frame.assign(timestamp=frame["timestamp"].astype("datetime64[ns]")),
        "pandas of categories": frame.assign(origin=frame["origin"].astype("category")),
        "pandas of objects": frame.astype({"origin": object}),
        "pandas of Arrow": table.to_pandas(types_mapper=pd.ArrowDtype),
        "pandas with another index": frame.set_index(frame.index[::-1] + 5),
        "polars": pl.from_arrow(table),
        "polars of categories": pl.from_arrow(table).with_columns(pl.col("origin").cast(pl.Categorical)),  # type: ignore[union-attr]
        "dicts": table.to_pylist(),
        "columns": table.to_pydict(),
    }


FORMS = [
    "arrow table",
    "arrow batch",
    "arrow batches",
    "arrow reader",
    "generator of batches",
    "generator of tables",
    "pandas",
    "pandas with a zone",
    "pandas in nanoseconds",
    "pandas of categories",
    "pandas of objects",
    "pandas of Arrow",
    "pandas with another index",
    "polars",
    "polars of categories",
    "dicts",
    "columns",
]


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_a_spine_is_the_same_dataset(
    client: headwater.Client, built: headwater.Dataset, spine: pa.Table, form: str
) -> None:
    again = client.dataset(SERVICE, spine=spines(spine)[form], name="forms")
    assert again.manifest.spine_digest == built.manifest.spine_digest
    assert again.manifest.content_digest == built.manifest.content_digest


def test_every_form_is_tried(spine: pa.Table) -> None:
    assert list(spines(spine)) == FORMS


def test_fetched_and_verified(client: headwater.Client, built: headwater.Dataset) -> None:
    for ref in (built.id, "built@1", f"dataset:{built.id}"):
        assert client.fetch(ref).to_arrow().equals(built.to_arrow())
    found = client.verify(built.id)
    assert found
    assert (found.verdict, found.differences, found.content_digest) == ("SAME", [], built.manifest.content_digest)
    assert client.manifest("built@1") == built.manifest
    assert [m.id for m in client.datasets("built")] == [built.id]
    assert built.id in [m.id for m in client.datasets()]
    with pytest.raises(NotFoundError, match="no_such"):
        client.fetch("no_such@1")


def test_results_are_read_any_number_of_times(server: Any, built: headwater.Dataset) -> None:
    with headwater.Client(server.address, server.token, memory_limit=1000) as small:
        in_file = small.fetch(built.id)
    # Neither needs the client any more.
    for dataset in (built, in_file):
        for _ in range(2):
            assert pa.Table.from_batches(dataset.batches()).equals(built.to_arrow())
        assert pl.DataFrame(dataset).shape == (3000, 9)
        assert pl.from_arrow(dataset.to_arrow()).equals(dataset.to_polars())  # type: ignore[arg-type]
        assert dataset.nbytes == built.nbytes
    assert in_file._received._file is not None
    assert built._received._file is None
    table = in_file.to_arrow()
    del in_file, dataset
    assert table.equals(built.to_arrow())


def test_to_parquet(built: headwater.Dataset, tmp_path: Any) -> None:
    path = tmp_path / "train.parquet"
    built.to_parquet(path)
    assert pq.read_table(path).equals(built.to_arrow())


def test_row_groups(client: headwater.Client, spine: pa.Table, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    many = pa.concat_tables([spine] * 10)
    dataset = client.dataset(SERVICE, spine=many, name="row_groups")
    sizes = [b.num_rows for b in dataset.batches()]
    assert len(sizes) > 3

    def groups() -> list[int]:
        dataset.to_parquet(tmp_path / "f.parquet")
        file = pq.ParquetFile(tmp_path / "f.parquet")
        assert file.read().equals(dataset.to_arrow())
        return [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]

    assert groups() == [many.num_rows]
    monkeypatch.setattr(_dataset, "_GROUP_ROWS", sizes[0] + sizes[1])
    assert groups()[0] == sizes[0] + sizes[1]
    monkeypatch.setattr(_dataset, "_GROUP_BYTES", 1)
    assert groups() == sizes


def test_pandas_types(built: headwater.Dataset, client: headwater.Client, flights: list[dict[str, Any]]) -> None:
    frame = client.dataset(SERVICE, spine=flights, name="frames").to_pandas()
    text = "str" if pd.__version__ >= "3" else "object"
    assert {c: str(t) for c, t in frame.dtypes.items()} == {
        "origin": text,
        "destination": text,
        "timestamp": "datetime64[us, UTC]",
        "delay": "int64",
        "airport_delays__departures": "Int64",
        "airport_delays__mean_delay": "float64",
        "airport_delays__late_share": "float64",
        "route_delays__mean_delay": "float64",
        "route_delays__late_share": "float64",
    }
    arrow = client.fetch("frames@1").to_pandas(dtype_backend="pyarrow")
    assert {str(t) for t in arrow.dtypes} == {
        "string[pyarrow]",
        "timestamp[us, tz=UTC][pyarrow]",
        "int64[pyarrow]",
        "double[pyarrow]",
    }
    nullable = client.fetch("frames@1").to_pandas(dtype_backend="numpy_nullable")
    assert str(nullable["route_delays__late_share"].dtype) == "Float64"


@pytest.mark.parametrize("rows", [0, 1])
def test_few_rows(client: headwater.Client, spine: pa.Table, rows: int) -> None:
    few = spine.slice(0, rows)
    for form in (few, few.to_pandas(), pl.from_arrow(few), few.to_reader()):
        found = client.dataset(SERVICE, spine=form, name="few")
        assert found.num_rows == found.to_arrow().num_rows == len(list(found.to_pandas().index)) == rows
        assert len(found.features) == 5


def test_names_of_columns(client: headwater.Client, flights: list[dict[str, Any]]) -> None:
    renamed = [{"from": f["origin"], "destination": f["destination"], "left": f["timestamp"]} for f in flights]
    found = client.dataset(SERVICE, spine=renamed, name="renamed", key_mapping={"origin": "from"}, timestamp_column="left")
    assert found.to_arrow().column_names[:3] == ["from", "destination", "left"]
    assert found.to_arrow()["airport_delays__departures"].to_pylist() == [36, 65, 1, None]


def test_as_of(client: headwater.Client, flights: list[dict[str, Any]]) -> None:
    now = client.dataset(SERVICE, spine=flights, name="as_of")
    for as_of in (
        f"pos:{now.manifest.position}",
        dt.datetime.now(dt.timezone.utc),
        dt.datetime.now(dt.timezone.utc).replace(tzinfo=None),
    ):
        again = client.dataset(SERVICE, spine=flights, name="as_of", as_of=as_of)
        assert again.manifest.position == now.manifest.position
        assert again.manifest.content_digest == now.manifest.content_digest
    assert again.manifest.version == 4
    with pytest.raises(NotMaterializedError, match="airport_delays"):
        client.dataset(SERVICE, spine=flights, as_of="pos:0")


def test_features_by_reference(client: headwater.Client, flights: list[dict[str, Any]]) -> None:
    references = ["route_delays.late_share", "airport_delays@1.departures"]
    found = client.dataset(features=references, spine=flights, name="references")
    assert found.features == ["route_delays__late_share", "airport_delays__departures"]
    assert found.manifest.features == ["route_delays@1.late_share", "airport_delays@1.departures"]
    assert found.manifest.service == ""
    assert found.to_arrow()["airport_delays__departures"].to_pylist() == [36, 65, 1, None]
    assert client.fetch(found.id).to_arrow().equals(found.to_arrow())
    # The types of keys are known of references too.
    numbers = client.dataset(
        features=["offer.number"], spine=pd.DataFrame({"item": [1.0, None], "timestamp": [NOON, NOON]}), name="numbers"
    )
    assert numbers.to_arrow()["offer__number"].to_pylist() == [2**53 + 1, None]
    with pytest.raises(InvalidArgumentError, match="features: found the text"):
        client.dataset(features="offer.number", spine=flights)


def test_joins(client: headwater.Client, flights: list[dict[str, Any]]) -> None:
    joins = [
        headwater.Join("from_", {"origin": "origin"}, ["airport_delays"]),
        headwater.Join("to_", {"origin": "destination"}, ["airport_delays"]),
    ]
    found = client.dataset(features=["airport_delays.departures"], spine=flights, name="joins", joins=joins)
    assert found.features == ["from_airport_delays__departures", "to_airport_delays__departures"]
    table = found.to_arrow()
    assert table["from_airport_delays__departures"].to_pylist() == [36, 65, 1, None]
    # Of the flights to LAX, LGA, SEA and LAX.
    back = [{"origin": f["destination"], "timestamp": f["timestamp"]} for f in flights]
    plain = client.dataset(features=["airport_delays.departures"], spine=back, name="joins")
    assert table["to_airport_delays__departures"].equals(plain.to_arrow()["airport_delays__departures"])
    assert [j["prefix"] for j in found.manifest.to_dict()["joins"]] == ["from_", "to_"]


def test_a_licence_asks_for_the_use(server: Any, built: headwater.Dataset, spine: pa.Table, tmp_path: Any) -> None:
    terms = tmp_path / "terms.yaml"
    terms.write_text(
        "roles: [{name: licensed}]\n"
        "policies:\n"
        "  - {name: terms, roles: [licensed], resources: ['source:flights'], require: {uses: [training], licence: no resale}}\n"
    )
    server.run("apply", terms)
    token = server.run("token", "create", "--principal", "licensee", "--role", "admin", "--role", "licensed").strip()
    said = "policy terms@1 of source:flights allows the use for training, found export; its terms: no resale"
    with headwater.Client(server.address, token) as licensee:
        with pytest.raises(PermissionDeniedError, match=said):
            licensee.dataset("delay_model_v1", spine=spine, use="export")
        with pytest.raises(PermissionDeniedError, match=said):
            licensee.fetch(built.id, use="export")
        assert licensee.fetch(built.id, use="training").num_rows == built.num_rows
        assert licensee.dataset("delay_model_v1", spine=spine).num_rows == spine.num_rows


def test_times_that_no_run_covers(client: headwater.Client, flights: list[dict[str, Any]]) -> None:
    later = [*flights[:2], flights[2] | {"timestamp": dt.datetime(2100, 1, 1, tzinfo=dt.timezone.utc)}]
    with pytest.raises(NotMaterializedError, match="airport_delays"):
        client.dataset(SERVICE, spine=later, name="partial")
    found = client.dataset(SERVICE, spine=later, name="partial", allow_partial=True)
    assert found.manifest.version == 1
    assert len(found) == 3
    partial = found.manifest.to_dict()["partial"]
    assert {(p["view"], p["rows"], p["first"]) for p in partial} == {
        (view, 1, later[2]["timestamp"]) for view in ("airport_delays", "route_delays")
    }


def test_what_arrived_later(client: headwater.Client, flights: list[dict[str, Any]]) -> None:
    known = client.dataset(SERVICE, spine=flights, name="knowledge")
    happened = client.dataset(SERVICE, spine=flights, name="knowledge", knowledge="event")
    assert (known.manifest.may_leak, happened.manifest.may_leak) == (False, True)
    assert happened.manifest.content_digest != known.manifest.content_digest


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({}, "found no spine, expected one of spine, query and events"),
        ({"spine": [{}], "events": headwater.Events("flights")}, "found spine and events, expected one"),
        ({"spine": [{}], "features": ["a.b"]}, "found service and features, expected one"),
        ({"spine": [{}], "knowledge": "all"}, "knowledge: found 'all', expected 'arrival' or 'event'"),
        ({"spine": [{}], "leave_out": [headwater.LeaveOut()]}, "leave_out: found no rule, expected one of"),
    ],
)
def test_arguments_that_contradict(client: headwater.Client, arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidArgumentError, match=said):
        client.dataset(SERVICE, **arguments)
    with pytest.raises(InvalidArgumentError, match="neither service nor features"):
        client.dataset(spine=[{}])


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("spine.parquet", "spine: found str, expected a DataFrame"),
        ([], "spine: found no rows and no columns"),
        ([1, 2], "spine: found an element of type int"),
        ([{"origin": "A"}, 3], "spine: row 2: found int, expected a dict"),
        ([{"origin": "A", "timestamp": NOON}, {"origin": 3}], "spine: column origin: .*give each column values of one type"),
        ([{"origin": "A", "timestamp": NOON}], "spine: found no column destination, expected the join key destination"),
        (
            {"origin": ["A"], "destination": ["B"], "timestamp": ["2001-01-05"]},
            "column timestamp: found type string, expected timestamp",
        ),
        (
            {"origin": [1], "destination": ["B"], "timestamp": [NOON]},
            "column origin: found int64, expected string, the type of join key",
        ),
        ({"origin": ["A"], "destination": ["B"], "timestamp": [None]}, "row 1: column timestamp is NULL"),
        (
            {"origin": ["A"], "destination": ["B"], "timestamp": [NOON], "x": [dt.time(1)]},
            "column x: found type time64.*take it out",
        ),
        (
            pd.DataFrame({"origin": ["A"], "destination": ["B"], "timestamp": [pd.Timestamp("2001-01-05 12:00:00.000000001")]}),
            r"rows 1 to 1: column timestamp: .* in pandas by \.dt\.floor\('us'\)",
        ),
        (pl.DataFrame({"origin": ["A"]}).lazy(), "polars LazyFrame, expected rows; collect it"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "found column a twice"),
        (
            [pa.RecordBatch.from_pylist([{"a": 1}]), pa.RecordBatch.from_pylist([{"b": 1}])],
            "spine: found no column timestamp|found a batch with columns b after row 1, expected those of the first: a",
        ),
    ],
)
def test_spines_that_cannot_be_used(client: headwater.Client, rows: Any, said: str) -> None:
    with pytest.raises(InvalidSpineError, match=said):
        client.dataset(SERVICE, spine=rows, name="unusable")
    assert client.datasets("unusable") == []


def test_a_spine_that_fails_makes_no_dataset(client: headwater.Client, spine: pa.Table) -> None:
    def broken() -> Iterator[pa.RecordBatch]:
        yield from spine.to_batches(max_chunksize=500)
        raise RuntimeError("the disk is gone")

    with pytest.raises(RuntimeError, match="the disk is gone"):
        client.dataset(SERVICE, spine=broken(), name="broken")
    assert client.datasets("broken") == []


def test_a_spine_is_read_as_it_is_sent(client: headwater.Client, spine: pa.Table) -> None:
    taken = 0

    def endless() -> Iterator[pa.RecordBatch]:
        nonlocal taken
        while True:
            taken += 1
            yield from spine.to_batches()

    # A service that is not there is found out while the spine would still be sent.
    with pytest.raises(NotFoundError):
        client.dataset("no_such_service", spine=endless(), name="endless")
    # One without the columns is refused by the server at the first rows.
    with pytest.raises(InvalidSpineError, match="found no column left"):
        client.dataset(SERVICE, spine=endless(), name="endless", timestamp_column="left")
    assert taken < 10_000


def test_errors_while_receiving_are_raised() -> None:
    received = _received.Received(10)
    received.add(b"0123456789")
    received.drop()
    received = _received.Received(1)
    received._hash = None  # type: ignore[assignment]
    received.add(b"0123456789")
    with pytest.raises(AttributeError):
        received.finish()
    received.drop()
