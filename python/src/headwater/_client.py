"""The client: one connection to one server, as one principal."""

from __future__ import annotations

import datetime
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal

import pyarrow as pa
from google.protobuf.timestamp_pb2 import Timestamp

from headwater._catalog import Catalog, Columns, FeatureList
from headwater._connection import Connection
from headwater._dataset import Dataset
from headwater._feedback import Feedback, Logged, Reported
from headwater._manifest import Manifest, enum_name, plain
from headwater._online import MOST_ENTITIES, Features, Handed
from headwater._progress import Progress, rows_of, size_of
from headwater._received import Received, part_of
from headwater._spine import Spine
from headwater._types import TIMESTAMP, microseconds
from headwater.errors import (
    DigestMismatchError,
    GateRefusedError,
    HeadwaterError,
    InternalError,
    InvalidArgumentError,
    NotFoundError,
    PermissionDeniedError,
)
from headwater.v1 import dataset_pb2, dataset_pb2_grpc, lineage_pb2, lineage_pb2_grpc, online_pb2, online_pb2_grpc

_TYPES_FOR = 60.0
"""For how many seconds the types of the keys of a service, or of features, are taken to be what they were."""
_MOST_TYPES = 1000
"""Of how many services and lists of features these are known at once."""


@dataclass(frozen=True)
class Join:
    """A view's features once more, for other key columns of the spine: of a match, both teams' airports are airports.

    >>> Join("home_", {"airport": "home_airport"})
    Join(prefix='home_', key_mapping={'airport': 'home_airport'}, views=())
    """

    prefix: str
    """What the names of the columns begin with, such as `home_`."""
    key_mapping: Mapping[str, str]
    """A view's join key on the left, the spine's column on the right."""
    views: Sequence[str] = ()
    """The views that are read so. Empty: each that has one of the keys."""


@dataclass(frozen=True)
class Query:
    """A spine that the server reads: what one SELECT over declared sources gives."""

    sql: str
    """Held to the rules of a view's SQL."""
    sources: Sequence[str]
    """The sources that it reads, `NAME` or `NAME@VERSION`."""


@dataclass(frozen=True)
class Events:
    """A spine of all events of a source: one row for each, by event time."""

    source: str
    """`NAME` or `NAME@VERSION`."""
    start: datetime.datetime | None = None
    """From which event time on; None: the first. A time without a zone is read as UTC."""
    end: datetime.datetime | None = None
    """Up to which event time, itself not; None: the last."""
    columns: Sequence[str] = ()
    """The source's columns to keep. Empty: all."""


@dataclass(frozen=True)
class LeaveOut:
    """A rule by which rows are left out of a dataset. Exactly one of the three is given."""

    any_missing: Sequence[str] | bool = False
    """Rows in which any of these columns is missing; True: any of the features."""
    all_missing: Sequence[str] | bool = False
    """Rows in which all of these columns are missing; True: all of the features."""
    condition: str = ""
    """Rows for which this CEL expression over the columns of the result is true."""


@dataclass(frozen=True)
class Verification:
    """What computing a dataset again found."""

    manifest: Manifest
    """What it is compared with."""
    same: bool
    """All digests are those of the manifest."""
    verdict: str
    """`SAME`, `DIFFERENT`, or `ERASED`: it is what erasures left of it."""
    differences: list[str]
    """What differs, one line each."""
    content_digest: str
    """What was found, hex."""

    def __bool__(self) -> bool:
        return self.same


class Difference:
    """In which rows and columns two datasets differ, and which runs made the difference."""

    def __init__(self, message: dataset_pb2.DiffDatasetsResponse) -> None:
        self.message = message
        """All of it, as proto/headwater/v1/dataset.proto explains it."""

    @property
    def same(self) -> bool:
        """They have the same content."""
        return self.message.same

    @property
    def rows(self) -> dict[str, int]:
        """How many rows are in both, in one of them only, and differ: `both`, `only_a`, `only_b`, `differ`."""
        m = self.message
        return {"both": m.rows_both, "only_a": m.rows_only_a, "only_b": m.rows_only_b, "differ": m.rows_differ}

    @property
    def columns(self) -> dict[str, int]:
        """Of each column of both, in how many rows it differs; those that differ first."""
        return {c.column: c.rows for c in self.message.columns}

    def to_dict(self) -> dict[str, Any]:
        """All of the message as dicts, lists and values of Python."""
        found = plain(self.message)
        assert isinstance(found, dict)
        return found

    def __repr__(self) -> str:
        return f"<Difference: {'the same' if self.same else ', '.join(f'{n} {what}' for what, n in self.rows.items())}>"


class Client:
    """A connection to one server, as one principal. Safe for several threads; not to be used across a fork.

    Each argument that is not given is taken from the environment, where the command line finds it too, else from the file
    of the command line: that of HEADWATER_CONFIG, or `headwater/client.env` in the user's folder of configurations. Of the
    file nothing is used where another server is named.

    Args:
        server: Address of the server, `HOST:PORT` (HEADWATER_SERVER; default `127.0.0.1:7411`).
        token: Token to call with (HEADWATER_TOKEN).
        token_file: File that holds the token (HEADWATER_TOKEN_FILE), such as the `admin.token` of `headwater dev`.
        tls: Encrypt the connection (HEADWATER_TLS). Without it the token can be read on the way. Default: only where a
            certificate is given.
        ca_file: Certificates of authorities, PEM, that the server's is held to (HEADWATER_CA_FILE). Default: the system's.
        cert_file: The client's own certificate, PEM (HEADWATER_CERT_FILE).
        key_file: The key of that (HEADWATER_KEY_FILE).
        timeout: How long a call of one answer may take, in seconds. Default: any time. Datasets may always take any time.
        progress: Whether to show how far a dataset is; None: on a terminal and in a notebook.
        memory_limit: Results of more bytes than this are kept in a temporary file. Default: 512 MiB.

    >>> with headwater.Client() as client:
    ...     client.features("airport_delays")[0].type
    'int64'
    """

    def __init__(
        self,
        server: str | None = None,
        token: str | None = None,
        *,
        token_file: str | os.PathLike[str] | None = None,
        tls: bool | None = None,
        ca_file: str | os.PathLike[str] | None = None,
        cert_file: str | os.PathLike[str] | None = None,
        key_file: str | os.PathLike[str] | None = None,
        timeout: float | None = None,
        progress: bool | None = None,
        memory_limit: int = 512 << 20,
    ) -> None:
        self._connection = Connection(
            server,
            token,
            token_file=token_file,
            tls=tls,
            ca_file=ca_file,
            cert_file=cert_file,
            key_file=key_file,
            timeout=timeout,
        )
        self._progress = progress
        self._memory_limit = memory_limit
        channel = self._connection.channel
        self._datasets = dataset_pb2_grpc.DatasetServiceStub(channel)  # type: ignore[no-untyped-call]
        # These two answer with results, which are taken from where gRPC has put them.
        self._build_dataset = channel.stream_stream(
            "/headwater.v1.DatasetService/BuildDataset",
            dataset_pb2.BuildDatasetRequest.SerializeToString,
            part_of(dataset_pb2.BuildDatasetResponse),
        )
        self._fetch_dataset = channel.unary_stream(
            "/headwater.v1.DatasetService/FetchDataset",
            dataset_pb2.FetchDatasetRequest.SerializeToString,
            part_of(dataset_pb2.FetchDatasetResponse),
        )
        self._online = online_pb2_grpc.OnlineServiceStub(channel)  # type: ignore[no-untyped-call]
        self._lineage = lineage_pb2_grpc.LineageServiceStub(channel)  # type: ignore[no-untyped-call]
        self._feedback = Feedback(self._connection)
        self._catalog = Catalog(self._connection)
        self._types: dict[tuple[str, tuple[str, ...]], tuple[float, Columns | None]] = {}

    @property
    def server(self) -> str:
        """The address that is called."""
        return self._connection.server

    @property
    def channel(self) -> Any:
        """The gRPC channel, for the stubs of `headwater.v1`. Calls on it need `metadata`."""
        return self._connection.channel

    @property
    def metadata(self) -> list[tuple[str, str]]:
        """What a call of a stub needs so that it is this client's: the token."""
        return list(self._connection.metadata)

    def close(self) -> None:
        """Ends the connection and every call on it. What was received stays."""
        self._connection.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<headwater.Client of {self.server}{' over TLS' if self._connection.encrypted else ''}>"

    # Datasets

    def dataset(
        self,
        service: str | None = None,
        *,
        spine: Any = None,
        query: Query | None = None,
        events: Events | None = None,
        features: Sequence[str] = (),
        name: str | None = None,
        as_of: str | datetime.datetime | None = None,
        timestamp_column: str | None = None,
        key_mapping: Mapping[str, str] | None = None,
        joins: Sequence[Join] = (),
        knowledge: Literal["arrival", "event"] = "arrival",
        allow_partial: bool = False,
        with_statuses: bool = False,
        leave_out: Sequence[LeaveOut] = (),
        purpose: str = "",
        use: Literal["training", "export"] = "training",
        progress: bool | None = None,
    ) -> Dataset:
        """Builds a training dataset: each row of the spine with the features as they were known at its time.

        When this returns, the dataset is kept by the server, and its bytes are here and checked against its manifest. The
        spine is sent batch by batch, so that one from a reader or a generator is never in memory whole.

        Args:
            service: The features to join: a service, `NAME` (newest version) or `NAME@VERSION`.
            spine: The rows to join them to, with the join keys, the time of each and any other columns, such as labels: a
                DataFrame of pandas or polars, an Arrow table, a reader or iterable of record batches, a list of dicts, or a
                dict of columns. Times without a zone are read as UTC. A NaN of pandas is a missing value.
            query: Instead of spine: a query that the server reads it by.
            events: Instead of spine: all events of a source.
            features: Instead of service: `VIEW.FEATURE`, `VIEW@VERSION.FEATURE`, `VIEW` or `VIEW@VERSION`, in the order of the
                result's columns.
            name: Of the dataset; default: the service's. Datasets of one name are numbered.
            as_of: The state of the data: `pos:17`, `run:VIEW@2/5`, or a time. Default: the newest.
            timestamp_column: The spine's column that says for when each row is. Default: `timestamp`; of events the source's
                event time.
            key_mapping: Join keys that the spine calls otherwise: the key on the left, the spine's column on the right.
            joins: Views to read for other key columns too, each with a prefix.
            knowledge: `"arrival"`: what was available at each row's time. `"event"`: what was true by then, whenever it
                arrived; values may leak from the future.
            allow_partial: Also rows of times that no run of a view covers; else they are refused.
            with_statuses: A column `NAME__status` behind each feature, which says why a value is missing.
            leave_out: Rules by which rows are left out. Without any there is a row for each of the spine.
            purpose: What for; kept with the dataset.
            use: What it is used for, which licences may ask: `"export"` where it goes to others; kept with the dataset.
            progress: Whether to show how far it is; None: as the client was told.

        Returns:
            The dataset, with as many rows as the spine, in its order, less those left out.

        Raises:
            InvalidSpineError: The spine lacks a column, or has one of another type, or a row without a time.
            NotMaterializedError: No run covers the times of some rows.
            PermissionDeniedError: The caller may not read the service, or a view, offline.

        >>> import datetime as dt
        >>> train = client.dataset(
        ...     "delay_model_v1",
        ...     spine=[
        ...         {"origin": "ORD", "destination": "LAX", "timestamp": dt.datetime(2001, 1, 5, 12, tzinfo=dt.timezone.utc)},
        ...     ],
        ...     name="readme",
        ... )
        >>> train.num_rows, train.manifest.name, train.manifest.service
        (1, 'readme', 'delay_model_v1@1')
        """
        given = [n for n, v in (("spine", spine), ("query", query), ("events", events)) if v is not None]
        if len(given) != 1:
            raise InvalidArgumentError(f"found {' and '.join(given) or 'no spine'}, expected one of spine, query and events")
        if bool(service) == bool(features):
            raise InvalidArgumentError(
                f"found {'service and features' if service else 'neither service nor features'}, expected one of them"
            )
        if isinstance(features, str):
            raise InvalidArgumentError(f"features: found the text {features!r}, expected a list of references")
        for what, text in (
            ("service", service),
            ("name", name),
            ("timestamp_column", timestamp_column),
            ("purpose", purpose),
            ("use", use),
        ):
            _check_text(what, text)
        for ref in features:
            _check_text("features", ref)
        _check_mapping("key_mapping", key_mapping)
        for join in joins:
            _check_text("joins: prefix", join.prefix)
            _check_mapping(f"join {join.prefix}: key_mapping", join.key_mapping)
        header = dataset_pb2.BuildDatasetHeader(
            name=name or "",
            timestamp_column=timestamp_column or "",
            as_of=_as_of(as_of),
            purpose=purpose,
            use=use,
            key_mapping=dict(key_mapping or {}),
            features=list(features),
            joins=[
                dataset_pb2.DatasetJoin(prefix=j.prefix, key_mapping=dict(j.key_mapping), views=list(j.views)) for j in joins
            ],
            knowledge=_knowledge(knowledge),
            allow_partial=allow_partial,
            with_statuses=with_statuses,
            leave_out=[_rule(r) for r in leave_out],
        )
        if query is not None:
            header.query.sql = query.sql
            header.query.sources.extend(query.sources)
        if events is not None:
            header.events.source = events.source
            header.events.columns.extend(events.columns)
            if events.start is not None:
                getattr(header.events, "from").CopyFrom(_time("events: start", events.start))
            if events.end is not None:
                header.events.to.CopyFrom(_time("events: end", events.end))
        rows = None
        if spine is not None:
            wanted = self._spine_types(service or "", features, dict(key_mapping or {}), joins)
            rows = Spine(spine, {timestamp_column or "timestamp": TIMESTAMP}, wanted)
        return self._build(service or "", header, rows, progress)

    def _spine_types(
        self, service: str, features: Sequence[str], key_mapping: Mapping[str, str], joins: Sequence[Join]
    ) -> dict[str, pa.DataType]:
        """The types of the columns that the server looks at, as far as the caller may know them."""
        columns = self._catalog.columns_of(service, features)
        if columns is None:
            return {}
        types = {name: type_ for name, type_ in columns.inputs.items() if type_ is not None}
        for key, type_ in columns.keys.items():
            if type_ is not None:
                plain_name = key_mapping.get(key, key)
                types.update(dict.fromkeys((plain_name, *(j.key_mapping.get(key, plain_name) for j in joins)), type_))
        return types

    def _build(
        self, service: str, header: dataset_pb2.BuildDatasetHeader, spine: Spine | None, progress: bool | None
    ) -> Dataset:
        failed: list[BaseException] = []
        call: Any = None

        def requests() -> Iterator[dataset_pb2.BuildDatasetRequest]:
            yield dataset_pb2.BuildDatasetRequest(service=service, header=header)
            if spine is None:
                return
            try:
                for part in spine.parts():
                    share = spine.rows / spine.total if spine.total else None
                    bar.show(rows_of(spine.rows), share)
                    yield dataset_pb2.BuildDatasetRequest(arrow=part)
                bar.show(f"{rows_of(spine.rows)} sent; the server joins them")
            except GeneratorExit:
                # The call has ended, and says why.
                raise
            except BaseException as error:
                # Ending the stream would have the server build of what was sent so far.
                failed.append(error)
                call.cancel()

        with Progress("dataset", self._progress if progress is None else progress) as bar:
            call = self._connection.stream(self._build_dataset, requests())
            try:
                return self._receive(call, bar)
            except HeadwaterError:
                if failed:
                    raise failed[0] from None
                raise

    def fetch(
        self,
        dataset: str,
        *,
        accept_erased: bool = False,
        purpose: str = "",
        use: Literal["training", "export"] = "training",
        progress: bool | None = None,
    ) -> Dataset:
        """Gets a dataset again: the same rows, whatever changed since it was built.

        Args:
            dataset: Its id, or `NAME@VERSION`.
            accept_erased: Of a dataset that an erasure touched, take what is left of it; else that is refused.
            purpose: What it is wanted for now, where a policy asks.
            use: What it is used for now, which licences may ask: `"export"` where it goes to others.
            progress: Whether to show how far it is; None: as the client was told.

        Raises:
            DigestMismatchError: It cannot be had again; the message says what differs.

        >>> client.fetch(train.id).to_arrow().equals(train.to_arrow())
        True
        """
        request = dataset_pb2.FetchDatasetRequest(dataset=_id(dataset), accept_erased=accept_erased, purpose=purpose, use=use)
        with Progress("dataset", self._progress if progress is None else progress) as bar:
            bar.show("asked for")
            return self._receive(self._connection.stream(self._fetch_dataset, request), bar)

    def _receive(self, call: Any, bar: Progress) -> Dataset:
        received = Received(self._memory_limit)
        manifest: dataset_pb2.Manifest | None = None
        try:
            for part in self._connection.received(call):
                if not isinstance(part, memoryview) and part.HasField("manifest"):
                    manifest = part.manifest
                else:
                    received.add(part if isinstance(part, memoryview) else part.arrow)
                    bar.show(f"{size_of(received.bytes)} received")
            if manifest is None:
                raise InternalError(
                    "the server ended the dataset without its manifest; nothing of it may be used, so ask for it again"
                )
            if manifest.state == dataset_pb2.DATASET_STATE_BUILT:
                raise GateRefusedError(manifest.held, metadata={"dataset": manifest.id})
            found = received.finish()
            if found != manifest.arrow_sha256:
                raise DigestMismatchError(
                    f"dataset {manifest.id}: found bytes of SHA-256 {found}, expected {manifest.arrow_sha256} as in its "
                    "manifest; they were changed on the way, so fetch it again"
                )
            return Dataset(Manifest(manifest), received)
        except BaseException:
            call.cancel()
            received.drop()
            raise

    def datasets(self, name: str | None = None) -> list[Manifest]:
        """The manifests of the datasets that the caller may list, newest first.

        Args:
            name: Only those of this name.

        >>> [m.rows for m in client.datasets("example")]
        [4]
        """
        found = self._connection.call(self._datasets.ListDatasets, dataset_pb2.ListDatasetsRequest(name=name or ""))
        return [Manifest(m) for m in found.datasets]

    def manifest(self, dataset: str) -> Manifest:
        """The manifest of a dataset, by its id or `NAME@VERSION`."""
        found = self._connection.call(self._datasets.GetDataset, dataset_pb2.GetDatasetRequest(dataset=_id(dataset)))
        return Manifest(found.manifest)

    def verify(self, dataset: str, *, purpose: str = "") -> Verification:
        """Has the server compute a dataset again and compare digests; true where they are the same.

        Args:
            dataset: Its id, or `NAME@VERSION`.
            purpose: What for, where a policy asks.

        >>> client.verify("example@1").same
        True
        """
        request = dataset_pb2.VerifyDatasetRequest(dataset=_id(dataset), purpose=purpose)
        r = self._connection.call(self._datasets.VerifyDataset, request)
        verdict = enum_name(dataset_pb2.DatasetVerdict.DESCRIPTOR, r.verdict)
        if r.verdict == dataset_pb2.DATASET_VERDICT_UNSPECIFIED:
            verdict = "SAME" if r.same else "DIFFERENT"
        return Verification(Manifest(r.manifest), r.same, verdict, list(r.differences), r.found_content_digest)

    def diff(self, a: str, b: str, *, examples: int = 20, purpose: str = "") -> Difference:
        """Has the server compute two datasets again, and says in which rows and columns they differ.

        Args:
            a: An id, or `NAME@VERSION`.
            b: Another.
            examples: How many rows that differ to show, up to 1,000.
            purpose: What for, where a policy asks.
        """
        request = dataset_pb2.DiffDatasetsRequest(a=_id(a), b=_id(b), examples=examples, purpose=purpose)
        return Difference(self._connection.call(self._datasets.DiffDatasets, request))

    def delete(self, dataset: str, *, reason: str) -> Manifest:
        """Deletes a dataset's spine, and no longer protects the history that it reads. Its manifest stays.

        Args:
            dataset: Its id, or `NAME@VERSION`.
            reason: Why; recorded. The server refuses a deletion without one.
        """
        request = dataset_pb2.DeleteDatasetRequest(dataset=_id(dataset), reason=reason)
        return Manifest(self._connection.call(self._datasets.DeleteDataset, request).manifest)

    def release(self, dataset: str) -> Manifest:
        """Lets a held dataset be fetched, where all of its gates hold.

        Else a `GateRefusedError` says which does not, and who can approve.

        Args:
            dataset: Its id, or `NAME@VERSION`.
        """
        return Manifest(
            self._connection.call(
                self._datasets.ReleaseDataset, dataset_pb2.ReleaseDatasetRequest(dataset=_id(dataset))
            ).manifest
        )

    # Online

    def get_features(
        self,
        service: str | None = None,
        entities: Any = None,
        *,
        features: Sequence[str] = (),
        joins: Sequence[Join] = (),
        inputs: Any = None,
        key_mapping: Mapping[str, str] | None = None,
        purpose: str = "",
        provenance: bool = False,
        timeout: float | None = None,
    ) -> Features:
        """Reads the newest value of each feature of a service, or of a list of features, as a model does that predicts.

        Args:
            service: `NAME` (newest version) or `NAME@VERSION`.
            features: Instead of service: `VIEW.FEATURE`, `VIEW@VERSION.FEATURE`, `VIEW` or `VIEW@VERSION`, in the order of the
                answer.
            joins: Views to read for other keys too, each with a prefix. A key of theirs is named as in the `key_mapping` of the
                join, else as in that of the call.
            entities: The join keys of each: a list of dicts, a dict of columns, a DataFrame or an Arrow table. A key that
                is None is NULL. More than 1,000 are read by several calls.
            inputs: What on-demand features take of the caller, in the same forms: all inputs of the service, and no others. A
                list of one dict, and single values in a dict, are for all entities.
            key_mapping: A view's join key on the left, the name of the key to take on the right.
            purpose: What for; recorded.
            provenance: Ask for event time, availability and run of each value too: `Features.provenance`, with the prefix of
                the join that read it.
            timeout: How long a call may take, in seconds; None: as the client was told.

        Returns:
            A typed column for each feature, in the order of the service or of the list, and a row for each entity, in the order
            given.

        >>> found = client.get_features(
        ...     "delay_model_v1", [{"origin": "ORD", "destination": "LAX"}, {"origin": "XXX", "destination": "LAX"}]
        ... )
        >>> found.statuses["airport_delays__mean_delay"]
        ['PRESENT', 'NO_ROW']
        >>> found.to_arrow().column("airport_delays__departures").to_pylist()
        [1, None]
        >>> route = {"origin": "ORD", "destination": "LAX"}
        >>> client.get_features(features=["route_delays.mean_delay"], entities=route).to_dicts()
        [{'origin': 'ORD', 'destination': 'LAX', 'route_delays__mean_delay': -6.92}]
        """
        if bool(service) == bool(features):
            raise InvalidArgumentError(
                f"found {'service and features' if service else 'neither service nor features'}, expected one of them"
            )
        if isinstance(features, str):
            raise InvalidArgumentError(f"features: found the text {features!r}, expected a list of references")
        _check_text("service", service)
        for ref in features:
            _check_text("features", ref)
        for join in joins:
            _check_text("joins: prefix", join.prefix)
            _check_mapping(f"join {join.prefix}: key_mapping", join.key_mapping)
        _check_text("purpose", purpose)
        _check_mapping("key_mapping", key_mapping)
        keys = Handed("entities", entities)
        handed = Handed("inputs", inputs, keys.length)
        n = keys.length if keys.length is not None else handed.length
        if not n:
            raise InvalidArgumentError("entities: found none, expected at least one, such as [{'origin': 'ORD'}]")
        if handed.length is not None and handed.length != n:
            raise InvalidArgumentError(
                f"inputs: found values for {handed.length} entities, expected as many as there are entities, {n}"
            )
        columns = self._columns_of(service or "", tuple(features))
        mapping = dict(key_mapping or {})
        key_types = {}
        if columns is not None:
            for own in (*(j.key_mapping for j in joins), {}):
                key_types.update({own.get(k, mapping.get(k, k)): t for k, t in columns.keys.items()})
        key_values = keys.messages(key_types)
        input_values = handed.messages({} if columns is None else columns.inputs)
        responses = []
        for at in range(0, n, MOST_ENTITIES):
            request = online_pb2.GetFeaturesRequest(
                service=service or "",
                features=list(features),
                joins=[
                    online_pb2.FeatureJoin(prefix=j.prefix, key_mapping=dict(j.key_mapping), views=list(j.views)) for j in joins
                ],
                purpose=purpose,
                key_mapping=mapping,
                with_provenance=provenance,
            )
            for name, values in key_values.items():
                request.keys[name].values.extend(values[at : at + MOST_ENTITIES])
            for name, values in input_values.items():
                request.inputs[name].values.extend(values[at : at + MOST_ENTITIES])
            try:
                responses.append(self._connection.call(self._online.GetFeatures, request, timeout=timeout))
            except HeadwaterError:
                # Perhaps what was known of its views is no longer so.
                self._types.pop((service or "", tuple(features)), None)
                raise
        given = pa.table({name: _as_given(v) for name, v in {**keys.columns, **handed.columns}.items()})
        return Features(given, responses)

    def _columns_of(self, service: str, features: tuple[str, ...]) -> Columns | None:
        asked = (service, features)
        known = self._types.get(asked)
        if known is None or time.monotonic() - known[0] > _TYPES_FOR:
            if len(self._types) >= _MOST_TYPES:
                self._types.clear()
            known = (time.monotonic(), self._catalog.columns_of(service, features))
            self._types[asked] = known
        return known[1]

    # Feedback

    def log_predictions(self, model: str, predictions: Any) -> Logged:
        """Logs what a registered model predicted, so that it is known how good it was once outcomes are.

        A prediction is known by its id: the same again changes nothing, and another under its id is refused. More than 1,000
        are sent by several calls; where one fails, those before are kept, and all may be sent again.

        Args:
            model: `NAME` (newest version) or `NAME@VERSION`.
            predictions: A row for each, as a list of dicts, a dict of columns, a DataFrame or an Arrow table. It has `id` (the
                caller's own) and `time` (when it was made); `prediction` (a bool, an int or a str is a class, a float or a
                Decimal a number), `score` (the probability of the positive class) or both; and what it was made of:
                `read_id`, and `row` (from 0) where several entities were read, or all join keys of the model's service.

        Raises:
            InvalidArgumentError: A row is not as is said here; the message has its place.
            AlreadyExistsError: Another prediction has the id.
            PermissionDeniedError: The caller may not `ingest` into the model.

        >>> found = client.get_features("delay_model_v1", {"origin": ["ORD", "ATL"], "destination": ["LAX", "LGA"]})
        >>> rows = [{"id": f"flight-{i}", "read_id": found.read_id, "row": i, "time": found.served_at} for i in range(2)]
        >>> client.log_predictions("delay_model", [{**row, "score": 0.1} for row in rows]).logged
        2
        """
        _check_text("model", model)
        return self._feedback.log(model, predictions, lambda: self._keys_of_model(model))

    def report_outcomes(self, model: str, outcomes: Any) -> Reported:
        """Reports what became of predictions: late, again or changed, and before the predictions are logged.

        Of two outcomes of a prediction the one that was known later counts. One whose prediction is not there is parked until
        it is.

        Args:
            model: The model whose predictions they are of.
            outcomes: A row for each, in the forms of `log_predictions`. It has `id` (that of the prediction), `actual` (what
                happened, as `prediction`; None takes back what was reported) and, unless it is now, `time` (when it was known).

        Raises:
            InvalidArgumentError: A row is not as is said here; the message has its place.
            PermissionDeniedError: The caller may not `ingest` into the model.

        >>> reported = client.report_outcomes("delay_model", {"id": ["flight-7", "flight-8"], "actual": [False, True]})
        >>> reported.recorded, reported.parked
        (2, 2)
        """
        _check_text("model", model)
        return self._feedback.report(model, outcomes)

    def _keys_of_model(self, model: str) -> Mapping[str, pa.DataType | None]:
        """The types of the join keys that a model's service is read by, as far as the caller may know them."""
        try:
            found = self._connection.call(self._lineage.GetModel, lineage_pb2.GetModelRequest(model=model))
        except (PermissionDeniedError, NotFoundError):
            return {}
        columns = self._columns_of(found.model.service, ()) if found.model.service else None
        return {} if columns is None else columns.keys

    # Definitions

    def features(self, view: str | None = None) -> FeatureList:
        """The features that the caller may list, with types, descriptions and owners.

        Args:
            view: Only those of this view, `NAME` or `NAME@VERSION`.

        >>> for f in client.features("route_delays"):
        ...     print(f.ref, f.type, f.description)
        route_delays@1.departures int64 Flights that left on the day.
        route_delays@1.mean_delay float64 Of their arrival delays, in minutes.
        route_delays@1.late_share float64 Share of them that arrived more than 15 minutes late.
        """
        return self._catalog.features(view)


def _id(dataset: str | Manifest | Dataset) -> str:
    if isinstance(dataset, Manifest | Dataset):
        return dataset.id
    if not isinstance(dataset, str):
        raise InvalidArgumentError(f"dataset: found {type(dataset).__name__}, expected an id or NAME@VERSION, as text")
    return dataset.removeprefix("dataset:")


def _check_text(what: str, v: Any) -> None:
    if v is not None and not isinstance(v, str):
        raise InvalidArgumentError(f"{what}: found {v!r} of type {type(v).__name__}, expected text")


def _check_mapping(what: str, mapping: Mapping[str, str] | None) -> None:
    for key, column in dict(mapping or {}).items():
        if not isinstance(key, str) or not isinstance(column, str):
            raise InvalidArgumentError(
                f"{what}: found {key!r}: {column!r}, expected the names of a join key and of a column, as text"
            )


def _as_given(values: Iterable[Any]) -> pa.Array:
    try:
        return pa.array(values, from_pandas=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return pa.array([None if v is None else str(v) for v in values], pa.string())


def _as_of(v: str | datetime.datetime | None) -> str:
    if isinstance(v, datetime.datetime):
        if v.tzinfo is None:
            v = v.replace(tzinfo=datetime.timezone.utc)
        return v.astimezone(datetime.timezone.utc).isoformat().replace("+00:00", "Z")
    if v is not None and not isinstance(v, str):
        raise InvalidArgumentError(
            f"as_of: found {v!r} of type {type(v).__name__}, expected a datetime, or text such as 'pos:17' or 'run:VIEW@2/5'"
        )
    return v or ""


def _time(what: str, v: datetime.datetime) -> Timestamp:
    if not isinstance(v, datetime.datetime):
        raise InvalidArgumentError(f"{what}: found {v!r} of type {type(v).__name__}, expected a datetime")
    us = microseconds(v)
    return Timestamp(seconds=us // 1_000_000, nanos=us % 1_000_000 * 1000)


def _knowledge(v: str) -> Any:
    try:
        return {"arrival": dataset_pb2.KNOWLEDGE_MODE_ARRIVAL, "event": dataset_pb2.KNOWLEDGE_MODE_EVENT}[v]
    except KeyError:
        raise InvalidArgumentError(f"knowledge: found {v!r}, expected 'arrival' or 'event'") from None


def _rule(r: LeaveOut) -> dataset_pb2.LeaveOutRule:
    given = [n for n in ("any_missing", "all_missing", "condition") if getattr(r, n)]
    if len(given) != 1:
        raise InvalidArgumentError(
            f"leave_out: found {' and '.join(given) or 'no rule'}, expected one of any_missing, all_missing and condition"
        )
    out = dataset_pb2.LeaveOutRule()
    if r.condition:
        out.condition = r.condition
        return out
    missing = out.any_missing if r.any_missing else out.all_missing
    columns = r.any_missing or r.all_missing
    missing.SetInParent()
    if columns is not True:
        assert not isinstance(columns, bool)
        missing.columns.extend([columns] if isinstance(columns, str) else columns)
    return out
