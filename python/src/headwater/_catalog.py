"""What is defined: features to look through, and the types of what readers hand in."""

from __future__ import annotations

import html
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from headwater._connection import Connection
from headwater._types import arrow_type
from headwater.errors import PermissionDeniedError
from headwater.v1 import registry_pb2, registry_pb2_grpc

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Feature:
    """A feature that a dataset or an online read can have."""

    view: str
    """The feature view that computes it."""
    version: int
    """The view's version, the newest."""
    name: str
    """Its name in the view."""
    type: str
    """Its type as definitions write it, such as `float64` or `decimal(12, 2)`."""
    entity: str
    """What it describes; empty for one that is computed on demand."""
    description: str
    """What it is, in words, with its unit where the definition says it."""
    owner: str
    """Who answers for it."""
    tags: tuple[str, ...]
    """Words that others sort by."""
    on_demand: bool
    """It is computed as it is read, of other features and of inputs that the reader gives."""
    deprecated: bool
    """It, or its view, is to be used no longer."""

    @property
    def ref(self) -> str:
        """How `Client.dataset(features=[...])` names it: `VIEW@VERSION.FEATURE`."""
        return f"{self.view}@{self.version}.{self.name}"

    @property
    def column(self) -> str:
        """What its column is called, unless a service calls it otherwise: `VIEW__FEATURE`."""
        return f"{self.view}__{self.name}"


class FeatureList(list[Feature]):
    """Features; a list that a notebook shows as a table."""

    def to_pandas(self) -> pd.DataFrame:
        """A row for each feature."""
        import pandas as pd

        return pd.DataFrame(
            [{f.name: getattr(x, f.name) for f in fields(Feature)} for x in self], columns=[f.name for f in fields(Feature)]
        )

    def search(self, words: str) -> FeatureList:
        """Those whose name, view, entity, description, owner or tags have each of the words, in any case."""
        wanted = words.casefold().split()

        def matches(f: Feature) -> bool:
            text = " ".join((f.name, f.view, f.entity, f.description, f.owner, *f.tags)).casefold()
            return all(w in text for w in wanted)

        return FeatureList(f for f in self if matches(f))

    def _repr_html_(self) -> str:
        head = ("ref", "type", "entity", "description", "owner")
        rows = "".join("<tr>" + "".join(f"<td>{html.escape(str(getattr(f, h)))}</td>" for h in head) + "</tr>" for f in self)
        return f"<table><thead><tr>{''.join(f'<th>{h}</th>' for h in head)}</tr></thead><tbody>{rows}</tbody></table>"


class Catalog:
    """Definitions as the server tells them."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._stub = registry_pb2_grpc.RegistryServiceStub(connection.channel)  # type: ignore[no-untyped-call]

    def features(self, view: str | None) -> FeatureList:
        """The features of one view, or of all that the caller may list, by view and in the order of each."""
        names = [view] if view is not None else self._names(registry_pb2.DEFINITION_KIND_VIEW)
        found = FeatureList()
        for d in self._definitions(registry_pb2.DEFINITION_KIND_VIEW, names):
            for v in d.definition.feature_views:
                found.extend(
                    Feature(
                        view=v.name,
                        version=d.summary.version,
                        name=f.name,
                        type=f.type,
                        entity=v.entity,
                        description=f.description,
                        owner=v.owner,
                        tags=tuple(dict.fromkeys((*v.tags, *f.tags))),
                        on_demand=v.HasField("on_demand"),
                        deprecated=v.HasField("deprecated") or f.HasField("deprecated"),
                    )
                    for f in v.features
                )
        return found

    def _names(self, kind: Any) -> list[str]:
        listed = self._connection.call(self._stub.ListDefinitions, registry_pb2.ListDefinitionsRequest(kind=kind))
        return sorted({d.name for d in listed.definitions if not d.removed})

    def _definitions(self, kind: Any, names: Iterable[str]) -> list[Any]:
        return self._connection.calls(
            self._stub.GetDefinition, [registry_pb2.GetDefinitionRequest(kind=kind, name=name) for name in names]
        )

    def columns_of(self, service: str, features: Iterable[str] = ()) -> Columns | None:
        """What readers of a service, or of features, hand in. None: the caller may read them, and not look at definitions."""
        try:
            found = Columns({}, {})
            if service:
                views = [v for d in self._definitions(registry_pb2.DEFINITION_KIND_SERVICE, [service]) for v in _views(d)]
            else:
                views = list(dict.fromkeys(ref.partition(".")[0] for ref in features))
            self._read_views(views, set(), found)
        except PermissionDeniedError:
            return None
        return found

    def _read_views(self, views: list[str], seen: set[str], found: Columns) -> None:
        views = [v for v in views if v not in seen]
        seen.update(views)
        if not views:
            return
        below: list[str] = []
        entities: dict[str, None] = {}
        for d in self._definitions(registry_pb2.DEFINITION_KIND_VIEW, views):
            for v in d.definition.feature_views:
                for i in v.on_demand.inputs:
                    found.inputs.setdefault(i.name, arrow_type(i.type))
                if v.HasField("on_demand"):
                    below.extend(_views(d))
                elif v.entity:
                    entities[v.entity] = None
        for d in self._definitions(registry_pb2.DEFINITION_KIND_ENTITY, entities):
            for e in d.definition.entities:
                for k in e.join_keys:
                    found.keys.setdefault(k.name, arrow_type(k.type))
        self._read_views(below, seen, found)


@dataclass
class Columns:
    """The types of join keys and of inputs by name; None for a type that this package does not know."""

    keys: dict[str, pa.DataType | None]
    inputs: dict[str, pa.DataType | None]


def _views(definition: Any) -> list[str]:
    """The views that a definition reads: at the versions it is pinned to, where the server says so."""
    pinned = [n.removeprefix("view:") for n in definition.inputs if n.startswith("view:")]
    return pinned or [v.view for s in definition.definition.feature_services for v in s.views]
