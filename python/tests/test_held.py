"""A dataset whose outcomes are about people is held, and released once somebody else has looked at it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import headwater
from headwater.errors import GateRefusedError

DEFINITIONS = """
roles:
  - name: modeller
    grants:
      - {actions: [read_offline, list], resources: ["service:screening", "view:points", "dataset:*"]}
  - name: ethics
    grants:
      - {actions: [read_offline, list], resources: ["service:screening", "view:points", "dataset:*"]}
      - {actions: [approve], resources: ["dataset:*"]}
entities:
  - {name: candidate, join_keys: [{name: candidate, type: int64}]}
sources:
  - name: candidates
    columns: [{name: at, type: timestamp}, {name: candidate, type: int64}, {name: points, type: float64}]
    event_time: at
    landing: {}
feature_views:
  - name: points
    entity: candidate
    features: [{name: points, type: float64}]
    sql:
      sources: [candidates]
      query: |
        SELECT candidate, points, event_time, available_at FROM candidates
        WHERE event_time >= {{interval.start}} AND event_time < {{interval.end}}
feature_services:
  - {name: screening, tags: [employment], views: [{view: points}]}
"""

SPINE = [
    {
        "candidate": i,
        "timestamp": dt.datetime(2001, 1, 2, tzinfo=dt.timezone.utc),
        "site": "north" if i % 3 else "south",
        "hired": "yes" if i % 2 else "no",
    }
    for i in range(200)
]


@pytest.fixture(scope="module")
def people(own_server: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[headwater.Client, headwater.Client]]:
    """Who builds datasets of the service, and who may approve them."""
    folder: Path = tmp_path_factory.mktemp("held")
    (folder / "definitions").mkdir()
    (folder / "definitions" / "screening.yaml").write_text(DEFINITIONS)
    (folder / "candidates.csv").write_text(
        "at,candidate,points\n" + "".join(f"2001-01-01T00:00:00Z,{i},{i / 2}\n" for i in range(200))
    )
    own_server.run("apply", folder / "definitions")
    own_server.run("ingest", "candidates", folder / "candidates.csv")
    own_server.run("materialize", "points", "--wait")
    tokens = {
        name: own_server.run("token", "create", "--principal", name, "--role", role).strip()
        for name, role in (("mo", "modeller"), ("eva", "ethics"))
    }
    with headwater.Client(own_server.address, tokens["mo"]) as mo, headwater.Client(own_server.address, tokens["eva"]) as eva:
        yield mo, eva


def test_a_dataset_is_held_until_somebody_else_approves_it(
    own_server: Any, people: tuple[headwater.Client, headwater.Client]
) -> None:
    mo, eva = people
    with pytest.raises(GateRefusedError, match="gate bias_report: found tag employment") as built:
        mo.dataset("screening", spine=SPINE, name="hiring")
    held = built.value.dataset
    assert held
    assert built.value.id == held
    assert mo.manifest(held).state == "BUILT"
    # Neither who built it nor who may approve it has rows of it, and nobody can wave it through.
    for client in (mo, eva):
        with pytest.raises(GateRefusedError, match=f"headwater dataset approve {held}") as refused:
            client.fetch(held)
        assert refused.value.dataset == held
    with pytest.raises(GateRefusedError, match="no report on what it has in it") as refused:
        mo.release(held)
    assert refused.value.dataset == held

    own_server.run("bias", "report", held, "--label", "hired", "--favourable", "yes", "--by", "site")
    with pytest.raises(GateRefusedError, match="gate bias_report"):
        mo.release(held)
    own_server.run("dataset", "approve", held, "--gate", "bias_report", "--reason", "looked at it", "--expires", "1h")
    assert mo.release(held).state == "RELEASED"

    table = mo.fetch(held).to_arrow()
    assert table["candidate"].to_pylist() == list(range(200))
    assert table["hired"].to_pylist() == [row["hired"] for row in SPINE]
    assert table["points__points"].to_pylist() == [i / 2 for i in range(200)]
    # Another content is another dataset.
    with pytest.raises(GateRefusedError):
        mo.dataset("screening", spine=SPINE[1:], name="hiring")
