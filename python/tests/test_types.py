"""Values of every type go to the server and come back, and none is rounded."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import headwater
from headwater._spine import Spine
from headwater._types import arrow_type, from_value, to_value, type_name
from headwater.errors import InvalidArgumentError, InvalidSpineError

UTC = dt.timezone.utc
BIG = 2**53 + 1
YEAR_ONE = dt.datetime(1, 1, 1, tzinfo=UTC)

# What the items 1, BIG and 3 of tests/kinds/offers.ndjson have.
WANTED: dict[str, tuple[pa.DataType, list[Any]]] = {
    "flag": (pa.bool_(), [True, False, None]),
    "number": (pa.int64(), [BIG, -(2**63), None]),
    "real": (pa.float64(), [0.1, -1e300, None]),
    "text": (pa.string(), ['é, "x"', "", None]),
    "moment": (pa.timestamp("us", tz="UTC"), [dt.datetime(2001, 2, 3, 4, 5, 6, 7, UTC), YEAR_ONE, None]),
    "price": (pa.decimal128(38, 2), [Decimal("123456789012345678901234567890.50"), Decimal("-0.01"), None]),
    "photo": (pa.binary(), [b"\x00\xff", b"", None]),
    "tags": (pa.list_(pa.string()), [["x, y", "é"], [], None]),
    "prices": (pa.list_(pa.decimal128(12, 2)), [[Decimal("0.10"), Decimal("-2.00")], [], None]),
    "moments": (
        pa.list_(pa.timestamp("us", tz="UTC")),
        [[dt.datetime(1999, 12, 31, 23, 59, 59, 999999, UTC)], [], None],
    ),
    "place": (pa.list_(pa.float32(), 2), [[float(np.float32(0.1)), -1.5], [0, 0], None]),
}
ITEMS = [1, BIG, 3]
AT = dt.datetime(2001, 1, 2, tzinfo=UTC)


@pytest.fixture(scope="module")
def offers(client: headwater.Client) -> headwater.Dataset:
    return client.dataset("offer_model", spine={"item": ITEMS, "timestamp": [AT] * 3}, name="offers")


@pytest.mark.parametrize("feature", WANTED)
def test_offline(offers: headwater.Dataset, feature: str) -> None:
    type_, values = WANTED[feature]
    column = offers.to_arrow()[f"offer__{feature}"]
    assert column.type.equals(type_)
    assert column.to_pylist() == values
    described = next(c for c in offers.manifest.columns if c.name == f"offer__{feature}")
    assert arrow_type(described.type).equals(type_)
    assert described.nulls == 1


@pytest.mark.parametrize("feature", WANTED)
def test_online(client: headwater.Client, feature: str) -> None:
    type_, values = WANTED[feature]
    found = client.get_features("offer_model", {"item": ITEMS})
    column = found.to_arrow()[f"offer__{feature}"]
    assert column.type.equals(type_)
    assert column.to_pylist() == values
    assert found.statuses[f"offer__{feature}"] == ["PRESENT", "PRESENT", "NULL"]


def test_frames_lose_nothing(offers: headwater.Dataset) -> None:
    frame = offers.to_pandas()
    assert frame["offer__number"].tolist()[:2] == [BIG, -(2**63)]
    assert frame["offer__number"].dtype == "Int64"
    assert frame["offer__flag"].dtype == "boolean"
    assert frame["offer__price"].tolist() == WANTED["price"][1]
    assert frame["offer__moment"].dtype == "datetime64[us, UTC]"
    assert frame["offer__moment"].tolist()[0].microsecond == 7
    assert frame["offer__photo"].tolist() == WANTED["photo"][1]
    assert frame["offer__place"].tolist()[0].dtype == np.float32
    assert list(frame.columns) == offers.to_arrow().column_names
    polars = offers.to_polars()
    assert polars.schema["offer__price"] == pl.Decimal(38, 2)
    assert polars.schema["offer__moment"] == pl.Datetime("us", "UTC")
    assert polars.schema["offer__place"] == pl.Array(pl.Float32, 2)
    for feature, (_, values) in WANTED.items():
        assert [v if not isinstance(v, pl.Series) else v.to_list() for v in polars[f"offer__{feature}"]] == values


def test_every_type_is_a_column_of_a_spine(client: headwater.Client, offers: headwater.Dataset) -> None:
    table = offers.to_arrow()
    spine = table.rename_columns([c.removeprefix("offer__") for c in table.column_names])
    digests = set()
    for form in (spine, spine.to_pandas(types_mapper=pd.ArrowDtype), pl.from_arrow(spine), iter(spine.to_batches())):
        found = client.dataset("offer_model", spine=form, name="kinds")
        digests.add(found.manifest.spine_digest)
        for feature, (type_, values) in WANTED.items():
            assert found.to_arrow()[feature].type.equals(type_)
            assert found.to_arrow()[feature].to_pylist() == values
    assert len(digests) == 1


# What the columns of a spine may be, and what they are sent as.
CONVERTED = [
    (pa.int8(), [1, None], "int64", [1, None]),
    (pa.uint32(), [2**32 - 1], "int64", [2**32 - 1]),
    (pa.uint64(), [2**63 - 1], "int64", [2**63 - 1]),
    (pa.float16(), [np.float16(0.5)], "float64", [0.5]),
    (pa.float32(), [0.1], "float64", [float(np.float32(0.1))]),
    (pa.large_string(), ["x"], "string", ["x"]),
    (pa.string_view(), ["x"], "string", ["x"]),
    (pa.null(), [None], "string", [None]),
    (pa.dictionary(pa.int8(), pa.string()), ["a", None, "a"], "string", ["a", None, "a"]),
    (pa.date32(), [dt.date(2001, 1, 5)], "timestamp", [dt.datetime(2001, 1, 5, tzinfo=UTC)]),
    (pa.date64(), [dt.date(2001, 1, 5)], "timestamp", [dt.datetime(2001, 1, 5, tzinfo=UTC)]),
    (pa.timestamp("s"), [dt.datetime(2001, 1, 5)], "timestamp", [dt.datetime(2001, 1, 5, tzinfo=UTC)]),
    (pa.timestamp("ns", "Asia/Tokyo"), [AT], "timestamp", [AT]),
    (pa.decimal256(38, 1), [Decimal("1.5")], "decimal(38, 1)", [Decimal("1.5")]),
    (pa.decimal32(5, 2), [Decimal("1.50")], "decimal(5, 2)", [Decimal("1.50")]),
    (pa.binary(2), [b"ab"], "bytes", [b"ab"]),
    (pa.large_list(pa.int16()), [[1], None], "list(int64)", [[1], None]),
    (pa.list_(pa.int64(), 2), [[1, 2]], "list(int64)", [[1, 2]]),
    (pa.list_(pa.float32(), 2), [[1, 2]], "vector(2)", [[1, 2]]),
]


@pytest.mark.parametrize(("type_", "values", "name", "wanted"), CONVERTED, ids=[str(c[0]) for c in CONVERTED])
def test_converted(type_: pa.DataType, values: list[Any], name: str, wanted: list[Any]) -> None:
    spine = Spine(pa.table({"x": pa.array(values, type_)}))
    assert type_name(spine.schema.field("x").type) == name
    sent = pa.ipc.open_stream(b"".join(spine.parts())).read_all()
    assert sent["x"].to_pylist() == wanted


REFUSED = [
    (pa.uint64(), [2**63], None, "does not hold exactly"),
    (pa.timestamp("ns"), [1], None, "times are in microseconds"),
    (pa.duration("us"), [1], None, "found type duration"),
    (pa.decimal256(76, 1), [Decimal(1)], None, "found type decimal256"),
    (pa.struct({"a": pa.int64()}), [{"a": 1}], None, "found type struct"),
    (pa.list_(pa.list_(pa.int64())), [[[1]]], None, "found type list"),
    (pa.float64(), [1.5], "int64", "that int64 does not hold exactly"),
    (pa.int64(), [BIG], "float64", "that float64 does not hold exactly"),
    (pa.string(), ["x"], "int64", "found type string, expected int64"),
    (pa.decimal128(5, 3), [Decimal("0.001")], "decimal(5, 2)", "does not hold exactly"),
    (pa.list_(pa.float64()), [[0.1, 0.2]], "vector(2)", "a float of 32 bits does not hold each number exactly"),
    (pa.list_(pa.float64()), [[0.5]], "vector(2)", "does not hold exactly"),
]


@pytest.mark.parametrize(("type_", "values", "wanted", "said"), REFUSED, ids=[f"{c[0]} as {c[2]}" for c in REFUSED])
def test_refused(type_: pa.DataType, values: list[Any], wanted: str | None, said: str) -> None:
    with pytest.raises(InvalidSpineError, match=f"column x: .*{said}"):
        b"".join(Spine(pa.table({"x": pa.array(values, type_)}), {"x": arrow_type(wanted)} if wanted else {}).parts())


FITTED = [
    (pa.float64(), [1.0, float("nan"), None], "int64", [1, None, None]),
    (pa.int32(), [1], "float64", [1.0]),
    (pa.int64(), [7], "decimal(5, 2)", [Decimal("7.00")]),
    (pa.null(), [None], "int64", [None]),
    (pa.decimal128(5, 1), [Decimal("0.5")], "decimal(9, 3)", [Decimal("0.500")]),
    (pa.list_(pa.float64()), [[0.5, 2], None], "vector(2)", [[0.5, 2], None]),
    (pa.list_(pa.int32()), [[1], None], "list(float64)", [[1.0], None]),
]


@pytest.mark.parametrize(("type_", "values", "name", "wanted"), FITTED, ids=[f"{c[0]} as {c[2]}" for c in FITTED])
def test_fitted(type_: pa.DataType, values: list[Any], name: str, wanted: list[Any]) -> None:
    spine = Spine(pa.table({"x": pa.array(values, type_)}), {"x": arrow_type(name)})
    sent = pa.ipc.open_stream(b"".join(spine.parts())).read_all()
    assert type_name(sent.schema.field("x").type) == name
    assert sent["x"].to_pylist() == wanted


def test_keys_that_pandas_made_floats(client: headwater.Client) -> None:
    frame = pd.DataFrame({"item": [1, None, 3], "timestamp": pd.to_datetime(["2001-01-02"] * 3)})
    assert frame["item"].dtype == np.float64
    found = client.dataset("offer_model", spine=frame, name="floats", with_statuses=False)
    assert found.to_arrow()["item"].to_pylist() == [1, None, 3]
    assert found.to_arrow()["offer__number"].to_pylist() == [BIG, None, None]
    statuses = next(c.statuses for c in found.manifest.columns if c.name == "offer__number")
    assert statuses == {"PRESENT": 1, "NO_KEY": 1, "NULL": 1}


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (None, "int64"),
        (True, "bool"),
        (-(2**63), "int64"),
        (1.5, "float64"),
        ("x", "string"),
        (AT, "timestamp"),
        (Decimal("12.50"), "decimal(9, 2)"),
        (b"\x00", "bytes"),
        ([1, 2], "list(int64)"),
        ([0.5, 2.0], "vector(2)"),
    ],
)
def test_values_of_requests(value: Any, name: str) -> None:
    assert from_value(to_value(value, arrow_type(name))) == value
    if name != "vector(2)":
        assert from_value(to_value(value, None)) == value


@pytest.mark.parametrize(
    ("value", "name", "wanted"),
    [
        (np.int32(3), "int64", 3),
        (np.float32(0.5), "float64", 0.5),
        (3, "float64", 3.0),
        (np.bool_(True), "bool", True),
        (np.datetime64("2001-01-02"), "timestamp", AT),
        (pd.Timestamp("2001-01-02", tz="Asia/Tokyo"), "timestamp", AT - dt.timedelta(hours=9)),
        (dt.datetime(2001, 1, 2), "timestamp", AT),
        (pd.NaT, "timestamp", None),
        (pd.NA, "int64", None),
        (np.array([0.5, 2], np.float32), "vector(2)", [0.5, 2]),
        (np.array([1, 2]), "list(int64)", [1, 2]),
        (7, "decimal(5, 2)", Decimal(7)),
        (pa.scalar(5), "int64", 5),
    ],
)
def test_values_that_are_converted(value: Any, name: str, wanted: Any) -> None:
    assert from_value(to_value(value, arrow_type(name))) == wanted


@pytest.mark.parametrize(
    ("value", "name", "said"),
    [
        ("1", "int64", "found '1' of type str, expected int64"),
        (1.5, "int64", "found 1.5 of type float, expected int64"),
        (True, "int64", "found True of type bool, expected int64"),
        (2**63, "int64", f"found {2**63} of type int, expected int64"),
        (BIG, "float64", "which a float64 does not hold exactly"),
        (0.1, "decimal(5, 2)", "found the float 0.1, expected decimal.*give it as a Decimal"),
        (Decimal("NaN"), "decimal(5, 2)", "decimals have no infinity and no NaN"),
        ([0.1, 0.2], "vector(2)", "found 0.1 in a vector, which a float of 32 bits does not hold exactly"),
        ([1.0], "vector(2)", "found 1 numbers, expected vector"),
        ("ab", "list(string)", "found 'ab' of type str, expected list"),
        (pd.Timestamp("2001-01-02 00:00:00.000000001"), "timestamp", "which has nanoseconds"),
    ],
)
def test_values_that_are_refused(value: Any, name: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        to_value(value, arrow_type(name))


INPUTS = {
    "paid": Decimal("123456789012345678901234567890.49"),
    "factor": 3,
    "words": ["a", "b"],
    "at_place": [0.5, 2],
    "deadline": AT,
}


def test_inputs_of_every_type(client: headwater.Client, server: Any) -> None:
    token = server.run("token", "create", "--principal", "reader", "--role", "reader").strip()
    for caller in (client, headwater.Client(server.address, token)):
        found = caller.get_features(
            "asked_model",
            [{"item": 1}, {"item": BIG}],
            # One who may not look at definitions says the types of what leaves them open.
            inputs=[INPUTS if caller is client else INPUTS | {"factor": 3.0, "at_place": np.array([0.5, 2], np.float32)}],
        )
        assert found.to_dicts(keys=False) == [
            {
                "asked__more": more,
                "asked__twice": 6.0,
                "asked__wanted": ["a", "b"],
                "asked__where": [0.5, 2.0],
                "asked__until": AT,
            }
            for more in (True, False)
        ]
    with pytest.raises(InvalidArgumentError, match="inputs: factor of entity 1: found 'x' of type str, expected float64"):
        client.get_features("asked_model", [{"item": 1}], inputs=[INPUTS | {"factor": "x"}])
    offline = client.dataset(
        "asked_model",
        spine=[{"item": 1, "timestamp": AT, **INPUTS}, {"item": BIG, "timestamp": AT, **INPUTS}],
        name="asked",
    )
    assert offline.to_arrow().select(offline.features).to_pylist() == found.to_dicts(keys=False)
