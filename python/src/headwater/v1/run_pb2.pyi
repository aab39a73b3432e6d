import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from headwater.v1 import approval_pb2 as _approval_pb2
from headwater.v1 import dataset_pb2 as _dataset_pb2
from headwater.v1 import options_pb2 as _options_pb2
from headwater.v1 import quality_pb2 as _quality_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class RunState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    RUN_STATE_UNSPECIFIED: _ClassVar[RunState]
    RUN_STATE_QUEUED: _ClassVar[RunState]
    RUN_STATE_RUNNING: _ClassVar[RunState]
    RUN_STATE_PUBLISHED: _ClassVar[RunState]
    RUN_STATE_FAILED: _ClassVar[RunState]
    RUN_STATE_CANCELLED: _ClassVar[RunState]

class OnlineState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ONLINE_STATE_UNSPECIFIED: _ClassVar[OnlineState]
    ONLINE_STATE_PENDING: _ClassVar[OnlineState]
    ONLINE_STATE_LOADED: _ClassVar[OnlineState]
    ONLINE_STATE_FAILED: _ClassVar[OnlineState]

class RunScope(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    RUN_SCOPE_UNSPECIFIED: _ClassVar[RunScope]
    RUN_SCOPE_INCREMENTAL: _ClassVar[RunScope]
    RUN_SCOPE_INTERVAL: _ClassVar[RunScope]
    RUN_SCOPE_FULL: _ClassVar[RunScope]

class RunTrigger(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    RUN_TRIGGER_UNSPECIFIED: _ClassVar[RunTrigger]
    RUN_TRIGGER_REQUEST: _ClassVar[RunTrigger]
    RUN_TRIGGER_SCHEDULE: _ClassVar[RunTrigger]
    RUN_TRIGGER_INPUTS: _ClassVar[RunTrigger]
    RUN_TRIGGER_PUSH: _ClassVar[RunTrigger]
    RUN_TRIGGER_QUARANTINE: _ClassVar[RunTrigger]

class CheckState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CHECK_STATE_UNSPECIFIED: _ClassVar[CheckState]
    CHECK_STATE_PASSED: _ClassVar[CheckState]
    CHECK_STATE_WARNED: _ClassVar[CheckState]
    CHECK_STATE_FAILED: _ClassVar[CheckState]
    CHECK_STATE_ERRORED: _ClassVar[CheckState]
    CHECK_STATE_NO_BASELINE: _ClassVar[CheckState]
    CHECK_STATE_SKIPPED: _ClassVar[CheckState]

class Verdict(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    VERDICT_UNSPECIFIED: _ClassVar[Verdict]
    VERDICT_SAME: _ClassVar[Verdict]
    VERDICT_SOURCE_CHANGED: _ClassVar[Verdict]
    VERDICT_DIFFERENT: _ClassVar[Verdict]
    VERDICT_ERRORED: _ClassVar[Verdict]
    VERDICT_ERASED: _ClassVar[Verdict]
RUN_STATE_UNSPECIFIED: RunState
RUN_STATE_QUEUED: RunState
RUN_STATE_RUNNING: RunState
RUN_STATE_PUBLISHED: RunState
RUN_STATE_FAILED: RunState
RUN_STATE_CANCELLED: RunState
ONLINE_STATE_UNSPECIFIED: OnlineState
ONLINE_STATE_PENDING: OnlineState
ONLINE_STATE_LOADED: OnlineState
ONLINE_STATE_FAILED: OnlineState
RUN_SCOPE_UNSPECIFIED: RunScope
RUN_SCOPE_INCREMENTAL: RunScope
RUN_SCOPE_INTERVAL: RunScope
RUN_SCOPE_FULL: RunScope
RUN_TRIGGER_UNSPECIFIED: RunTrigger
RUN_TRIGGER_REQUEST: RunTrigger
RUN_TRIGGER_SCHEDULE: RunTrigger
RUN_TRIGGER_INPUTS: RunTrigger
RUN_TRIGGER_PUSH: RunTrigger
RUN_TRIGGER_QUARANTINE: RunTrigger
CHECK_STATE_UNSPECIFIED: CheckState
CHECK_STATE_PASSED: CheckState
CHECK_STATE_WARNED: CheckState
CHECK_STATE_FAILED: CheckState
CHECK_STATE_ERRORED: CheckState
CHECK_STATE_NO_BASELINE: CheckState
CHECK_STATE_SKIPPED: CheckState
VERDICT_UNSPECIFIED: Verdict
VERDICT_SAME: Verdict
VERDICT_SOURCE_CHANGED: Verdict
VERDICT_DIFFERENT: Verdict
VERDICT_ERRORED: Verdict
VERDICT_ERASED: Verdict

class MaterializeRequest(_message.Message):
    __slots__ = ("views", "to", "full")
    VIEWS_FIELD_NUMBER: _ClassVar[int]
    FROM_FIELD_NUMBER: _ClassVar[int]
    TO_FIELD_NUMBER: _ClassVar[int]
    FULL_FIELD_NUMBER: _ClassVar[int]
    views: _containers.RepeatedScalarFieldContainer[str]
    to: _timestamp_pb2.Timestamp
    full: bool
    def __init__(self, views: _Optional[_Iterable[str]] = ..., to: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., full: bool = ..., **kwargs) -> None: ...

class MaterializeResponse(_message.Message):
    __slots__ = ("runs",)
    RUNS_FIELD_NUMBER: _ClassVar[int]
    runs: _containers.RepeatedCompositeFieldContainer[Run]
    def __init__(self, runs: _Optional[_Iterable[_Union[Run, _Mapping]]] = ...) -> None: ...

class Run(_message.Message):
    __slots__ = ("id", "view", "view_version", "seq", "state", "position", "interval_start", "interval_end", "inputs", "fingerprint", "ledger", "digest", "principal", "queued_at", "started_at", "ended_at", "phases", "checks", "gates", "error", "online_state", "online_written", "online_stale", "online_tombstones", "warnings", "scope", "intervals", "trigger", "attempt", "waits_for", "not_before", "priority", "progress", "cancel_requested_at", "cancelled_by", "erasures", "drift", "to_approve", "anomalies", "metrics_tested")
    ID_FIELD_NUMBER: _ClassVar[int]
    VIEW_FIELD_NUMBER: _ClassVar[int]
    VIEW_VERSION_FIELD_NUMBER: _ClassVar[int]
    SEQ_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    INTERVAL_START_FIELD_NUMBER: _ClassVar[int]
    INTERVAL_END_FIELD_NUMBER: _ClassVar[int]
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    FINGERPRINT_FIELD_NUMBER: _ClassVar[int]
    LEDGER_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    PRINCIPAL_FIELD_NUMBER: _ClassVar[int]
    QUEUED_AT_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_FIELD_NUMBER: _ClassVar[int]
    ENDED_AT_FIELD_NUMBER: _ClassVar[int]
    PHASES_FIELD_NUMBER: _ClassVar[int]
    CHECKS_FIELD_NUMBER: _ClassVar[int]
    GATES_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    ONLINE_STATE_FIELD_NUMBER: _ClassVar[int]
    ONLINE_WRITTEN_FIELD_NUMBER: _ClassVar[int]
    ONLINE_STALE_FIELD_NUMBER: _ClassVar[int]
    ONLINE_TOMBSTONES_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    INTERVALS_FIELD_NUMBER: _ClassVar[int]
    TRIGGER_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    WAITS_FOR_FIELD_NUMBER: _ClassVar[int]
    NOT_BEFORE_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    CANCEL_REQUESTED_AT_FIELD_NUMBER: _ClassVar[int]
    CANCELLED_BY_FIELD_NUMBER: _ClassVar[int]
    ERASURES_FIELD_NUMBER: _ClassVar[int]
    DRIFT_FIELD_NUMBER: _ClassVar[int]
    TO_APPROVE_FIELD_NUMBER: _ClassVar[int]
    ANOMALIES_FIELD_NUMBER: _ClassVar[int]
    METRICS_TESTED_FIELD_NUMBER: _ClassVar[int]
    id: int
    view: str
    view_version: int
    seq: int
    state: RunState
    position: int
    interval_start: _timestamp_pb2.Timestamp
    interval_end: _timestamp_pb2.Timestamp
    inputs: _containers.RepeatedCompositeFieldContainer[RunInput]
    fingerprint: str
    ledger: Ledger
    digest: str
    principal: str
    queued_at: _timestamp_pb2.Timestamp
    started_at: _timestamp_pb2.Timestamp
    ended_at: _timestamp_pb2.Timestamp
    phases: _containers.RepeatedCompositeFieldContainer[Phase]
    checks: _containers.RepeatedCompositeFieldContainer[Check]
    gates: _containers.RepeatedCompositeFieldContainer[Gate]
    error: str
    online_state: OnlineState
    online_written: int
    online_stale: int
    online_tombstones: int
    warnings: _containers.RepeatedScalarFieldContainer[str]
    scope: RunScope
    intervals: _containers.RepeatedCompositeFieldContainer[Interval]
    trigger: RunTrigger
    attempt: int
    waits_for: str
    not_before: _timestamp_pb2.Timestamp
    priority: int
    progress: Progress
    cancel_requested_at: _timestamp_pb2.Timestamp
    cancelled_by: str
    erasures: _containers.RepeatedCompositeFieldContainer[_dataset_pb2.Erasure]
    drift: RunDrift
    to_approve: str
    anomalies: _containers.RepeatedCompositeFieldContainer[RunAnomaly]
    metrics_tested: int
    def __init__(self, id: _Optional[int] = ..., view: _Optional[str] = ..., view_version: _Optional[int] = ..., seq: _Optional[int] = ..., state: _Optional[_Union[RunState, str]] = ..., position: _Optional[int] = ..., interval_start: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., interval_end: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., inputs: _Optional[_Iterable[_Union[RunInput, _Mapping]]] = ..., fingerprint: _Optional[str] = ..., ledger: _Optional[_Union[Ledger, _Mapping]] = ..., digest: _Optional[str] = ..., principal: _Optional[str] = ..., queued_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., started_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., ended_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., phases: _Optional[_Iterable[_Union[Phase, _Mapping]]] = ..., checks: _Optional[_Iterable[_Union[Check, _Mapping]]] = ..., gates: _Optional[_Iterable[_Union[Gate, _Mapping]]] = ..., error: _Optional[str] = ..., online_state: _Optional[_Union[OnlineState, str]] = ..., online_written: _Optional[int] = ..., online_stale: _Optional[int] = ..., online_tombstones: _Optional[int] = ..., warnings: _Optional[_Iterable[str]] = ..., scope: _Optional[_Union[RunScope, str]] = ..., intervals: _Optional[_Iterable[_Union[Interval, _Mapping]]] = ..., trigger: _Optional[_Union[RunTrigger, str]] = ..., attempt: _Optional[int] = ..., waits_for: _Optional[str] = ..., not_before: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., priority: _Optional[int] = ..., progress: _Optional[_Union[Progress, _Mapping]] = ..., cancel_requested_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., cancelled_by: _Optional[str] = ..., erasures: _Optional[_Iterable[_Union[_dataset_pb2.Erasure, _Mapping]]] = ..., drift: _Optional[_Union[RunDrift, _Mapping]] = ..., to_approve: _Optional[str] = ..., anomalies: _Optional[_Iterable[_Union[RunAnomaly, _Mapping]]] = ..., metrics_tested: _Optional[int] = ...) -> None: ...

class RunAnomaly(_message.Message):
    __slots__ = ("metric", "value", "expected", "z", "points", "seasonal")
    METRIC_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_FIELD_NUMBER: _ClassVar[int]
    Z_FIELD_NUMBER: _ClassVar[int]
    POINTS_FIELD_NUMBER: _ClassVar[int]
    SEASONAL_FIELD_NUMBER: _ClassVar[int]
    metric: str
    value: float
    expected: float
    z: float
    points: int
    seasonal: bool
    def __init__(self, metric: _Optional[str] = ..., value: _Optional[float] = ..., expected: _Optional[float] = ..., z: _Optional[float] = ..., points: _Optional[int] = ..., seasonal: bool = ...) -> None: ...

class RunDrift(_message.Message):
    __slots__ = ("verdict", "baseline", "columns")
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    BASELINE_FIELD_NUMBER: _ClassVar[int]
    COLUMNS_FIELD_NUMBER: _ClassVar[int]
    verdict: _quality_pb2.DriftVerdict
    baseline: str
    columns: _containers.RepeatedCompositeFieldContainer[ColumnVerdict]
    def __init__(self, verdict: _Optional[_Union[_quality_pb2.DriftVerdict, str]] = ..., baseline: _Optional[str] = ..., columns: _Optional[_Iterable[_Union[ColumnVerdict, _Mapping]]] = ...) -> None: ...

class ColumnVerdict(_message.Message):
    __slots__ = ("name", "verdict", "psi", "psi_floor", "reason")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    PSI_FIELD_NUMBER: _ClassVar[int]
    PSI_FLOOR_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    name: str
    verdict: _quality_pb2.DriftVerdict
    psi: float
    psi_floor: float
    reason: str
    def __init__(self, name: _Optional[str] = ..., verdict: _Optional[_Union[_quality_pb2.DriftVerdict, str]] = ..., psi: _Optional[float] = ..., psi_floor: _Optional[float] = ..., reason: _Optional[str] = ...) -> None: ...

class Interval(_message.Message):
    __slots__ = ("start", "end")
    START_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    start: _timestamp_pb2.Timestamp
    end: _timestamp_pb2.Timestamp
    def __init__(self, start: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., end: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class Progress(_message.Message):
    __slots__ = ("phase", "rows_done", "rows_total", "chunks_done", "chunks_total", "updated_at")
    PHASE_FIELD_NUMBER: _ClassVar[int]
    ROWS_DONE_FIELD_NUMBER: _ClassVar[int]
    ROWS_TOTAL_FIELD_NUMBER: _ClassVar[int]
    CHUNKS_DONE_FIELD_NUMBER: _ClassVar[int]
    CHUNKS_TOTAL_FIELD_NUMBER: _ClassVar[int]
    UPDATED_AT_FIELD_NUMBER: _ClassVar[int]
    phase: str
    rows_done: int
    rows_total: int
    chunks_done: int
    chunks_total: int
    updated_at: _timestamp_pb2.Timestamp
    def __init__(self, phase: _Optional[str] = ..., rows_done: _Optional[int] = ..., rows_total: _Optional[int] = ..., chunks_done: _Optional[int] = ..., chunks_total: _Optional[int] = ..., updated_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class RunInput(_message.Message):
    __slots__ = ("source", "source_version", "source_fingerprint", "load_number", "loads", "rows_read", "view", "view_version", "view_seq", "relation", "rows_digest", "duplicates", "kept")
    class Load(_message.Message):
        __slots__ = ("id", "file_name", "file_sha256", "rows")
        ID_FIELD_NUMBER: _ClassVar[int]
        FILE_NAME_FIELD_NUMBER: _ClassVar[int]
        FILE_SHA256_FIELD_NUMBER: _ClassVar[int]
        ROWS_FIELD_NUMBER: _ClassVar[int]
        id: int
        file_name: str
        file_sha256: str
        rows: int
        def __init__(self, id: _Optional[int] = ..., file_name: _Optional[str] = ..., file_sha256: _Optional[str] = ..., rows: _Optional[int] = ...) -> None: ...
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    SOURCE_VERSION_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FINGERPRINT_FIELD_NUMBER: _ClassVar[int]
    LOAD_NUMBER_FIELD_NUMBER: _ClassVar[int]
    LOADS_FIELD_NUMBER: _ClassVar[int]
    ROWS_READ_FIELD_NUMBER: _ClassVar[int]
    VIEW_FIELD_NUMBER: _ClassVar[int]
    VIEW_VERSION_FIELD_NUMBER: _ClassVar[int]
    VIEW_SEQ_FIELD_NUMBER: _ClassVar[int]
    RELATION_FIELD_NUMBER: _ClassVar[int]
    ROWS_DIGEST_FIELD_NUMBER: _ClassVar[int]
    DUPLICATES_FIELD_NUMBER: _ClassVar[int]
    KEPT_FIELD_NUMBER: _ClassVar[int]
    source: str
    source_version: int
    source_fingerprint: str
    load_number: int
    loads: _containers.RepeatedCompositeFieldContainer[RunInput.Load]
    rows_read: int
    view: str
    view_version: int
    view_seq: int
    relation: str
    rows_digest: str
    duplicates: int
    kept: bool
    def __init__(self, source: _Optional[str] = ..., source_version: _Optional[int] = ..., source_fingerprint: _Optional[str] = ..., load_number: _Optional[int] = ..., loads: _Optional[_Iterable[_Union[RunInput.Load, _Mapping]]] = ..., rows_read: _Optional[int] = ..., view: _Optional[str] = ..., view_version: _Optional[int] = ..., view_seq: _Optional[int] = ..., relation: _Optional[str] = ..., rows_digest: _Optional[str] = ..., duplicates: _Optional[int] = ..., kept: bool = ...) -> None: ...

class Ledger(_message.Message):
    __slots__ = ("read", "accepted", "quarantined", "duplicate", "dropped", "too_late", "used", "filtered", "unaccounted", "reasons", "produced", "unchanged", "inserted", "withdrawn", "live_before", "live_after", "computed", "output_quarantined", "output_dropped")
    READ_FIELD_NUMBER: _ClassVar[int]
    ACCEPTED_FIELD_NUMBER: _ClassVar[int]
    QUARANTINED_FIELD_NUMBER: _ClassVar[int]
    DUPLICATE_FIELD_NUMBER: _ClassVar[int]
    DROPPED_FIELD_NUMBER: _ClassVar[int]
    TOO_LATE_FIELD_NUMBER: _ClassVar[int]
    USED_FIELD_NUMBER: _ClassVar[int]
    FILTERED_FIELD_NUMBER: _ClassVar[int]
    UNACCOUNTED_FIELD_NUMBER: _ClassVar[int]
    REASONS_FIELD_NUMBER: _ClassVar[int]
    PRODUCED_FIELD_NUMBER: _ClassVar[int]
    UNCHANGED_FIELD_NUMBER: _ClassVar[int]
    INSERTED_FIELD_NUMBER: _ClassVar[int]
    WITHDRAWN_FIELD_NUMBER: _ClassVar[int]
    LIVE_BEFORE_FIELD_NUMBER: _ClassVar[int]
    LIVE_AFTER_FIELD_NUMBER: _ClassVar[int]
    COMPUTED_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_QUARANTINED_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_DROPPED_FIELD_NUMBER: _ClassVar[int]
    read: int
    accepted: int
    quarantined: int
    duplicate: int
    dropped: int
    too_late: int
    used: int
    filtered: int
    unaccounted: int
    reasons: _containers.RepeatedCompositeFieldContainer[LedgerReason]
    produced: int
    unchanged: int
    inserted: int
    withdrawn: int
    live_before: int
    live_after: int
    computed: int
    output_quarantined: int
    output_dropped: int
    def __init__(self, read: _Optional[int] = ..., accepted: _Optional[int] = ..., quarantined: _Optional[int] = ..., duplicate: _Optional[int] = ..., dropped: _Optional[int] = ..., too_late: _Optional[int] = ..., used: _Optional[int] = ..., filtered: _Optional[int] = ..., unaccounted: _Optional[int] = ..., reasons: _Optional[_Iterable[_Union[LedgerReason, _Mapping]]] = ..., produced: _Optional[int] = ..., unchanged: _Optional[int] = ..., inserted: _Optional[int] = ..., withdrawn: _Optional[int] = ..., live_before: _Optional[int] = ..., live_after: _Optional[int] = ..., computed: _Optional[int] = ..., output_quarantined: _Optional[int] = ..., output_dropped: _Optional[int] = ...) -> None: ...

class LedgerReason(_message.Message):
    __slots__ = ("bucket", "reason", "rows")
    BUCKET_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    bucket: str
    reason: str
    rows: int
    def __init__(self, bucket: _Optional[str] = ..., reason: _Optional[str] = ..., rows: _Optional[int] = ...) -> None: ...

class Phase(_message.Message):
    __slots__ = ("name", "duration_micros")
    NAME_FIELD_NUMBER: _ClassVar[int]
    DURATION_MICROS_FIELD_NUMBER: _ClassVar[int]
    name: str
    duration_micros: int
    def __init__(self, name: _Optional[str] = ..., duration_micros: _Optional[int] = ...) -> None: ...

class Check(_message.Message):
    __slots__ = ("name", "state", "expected", "found", "subject", "where", "examples", "rows_failed", "action", "metric", "examples_hidden")
    NAME_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_FIELD_NUMBER: _ClassVar[int]
    FOUND_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    WHERE_FIELD_NUMBER: _ClassVar[int]
    EXAMPLES_FIELD_NUMBER: _ClassVar[int]
    ROWS_FAILED_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    METRIC_FIELD_NUMBER: _ClassVar[int]
    EXAMPLES_HIDDEN_FIELD_NUMBER: _ClassVar[int]
    name: str
    state: CheckState
    expected: str
    found: str
    subject: str
    where: str
    examples: _containers.RepeatedScalarFieldContainer[str]
    rows_failed: int
    action: str
    metric: float
    examples_hidden: int
    def __init__(self, name: _Optional[str] = ..., state: _Optional[_Union[CheckState, str]] = ..., expected: _Optional[str] = ..., found: _Optional[str] = ..., subject: _Optional[str] = ..., where: _Optional[str] = ..., examples: _Optional[_Iterable[str]] = ..., rows_failed: _Optional[int] = ..., action: _Optional[str] = ..., metric: _Optional[float] = ..., examples_hidden: _Optional[int] = ...) -> None: ...

class Gate(_message.Message):
    __slots__ = ("name", "passed", "detail")
    NAME_FIELD_NUMBER: _ClassVar[int]
    PASSED_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    name: str
    passed: bool
    detail: str
    def __init__(self, name: _Optional[str] = ..., passed: bool = ..., detail: _Optional[str] = ...) -> None: ...

class ListRunsRequest(_message.Message):
    __slots__ = ("view", "page_size", "before_id")
    VIEW_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    BEFORE_ID_FIELD_NUMBER: _ClassVar[int]
    view: str
    page_size: int
    before_id: int
    def __init__(self, view: _Optional[str] = ..., page_size: _Optional[int] = ..., before_id: _Optional[int] = ...) -> None: ...

class ListRunsResponse(_message.Message):
    __slots__ = ("runs",)
    RUNS_FIELD_NUMBER: _ClassVar[int]
    runs: _containers.RepeatedCompositeFieldContainer[Run]
    def __init__(self, runs: _Optional[_Iterable[_Union[Run, _Mapping]]] = ...) -> None: ...

class GetRunRequest(_message.Message):
    __slots__ = ("run",)
    RUN_FIELD_NUMBER: _ClassVar[int]
    run: str
    def __init__(self, run: _Optional[str] = ...) -> None: ...

class GetRunResponse(_message.Message):
    __slots__ = ("run",)
    RUN_FIELD_NUMBER: _ClassVar[int]
    run: Run
    def __init__(self, run: _Optional[_Union[Run, _Mapping]] = ...) -> None: ...

class WatchRunRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: int
    def __init__(self, id: _Optional[int] = ...) -> None: ...

class WatchRunResponse(_message.Message):
    __slots__ = ("run",)
    RUN_FIELD_NUMBER: _ClassVar[int]
    run: Run
    def __init__(self, run: _Optional[_Union[Run, _Mapping]] = ...) -> None: ...

class RebuildOnlineRequest(_message.Message):
    __slots__ = ("views",)
    VIEWS_FIELD_NUMBER: _ClassVar[int]
    views: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, views: _Optional[_Iterable[str]] = ...) -> None: ...

class RebuildOnlineResponse(_message.Message):
    __slots__ = ("rebuilds",)
    REBUILDS_FIELD_NUMBER: _ClassVar[int]
    rebuilds: _containers.RepeatedCompositeFieldContainer[OnlineRebuild]
    def __init__(self, rebuilds: _Optional[_Iterable[_Union[OnlineRebuild, _Mapping]]] = ...) -> None: ...

class OnlineRebuild(_message.Message):
    __slots__ = ("view", "view_version", "epoch", "seq", "written", "stale", "tombstones")
    VIEW_FIELD_NUMBER: _ClassVar[int]
    VIEW_VERSION_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    SEQ_FIELD_NUMBER: _ClassVar[int]
    WRITTEN_FIELD_NUMBER: _ClassVar[int]
    STALE_FIELD_NUMBER: _ClassVar[int]
    TOMBSTONES_FIELD_NUMBER: _ClassVar[int]
    view: str
    view_version: int
    epoch: int
    seq: int
    written: int
    stale: int
    tombstones: int
    def __init__(self, view: _Optional[str] = ..., view_version: _Optional[int] = ..., epoch: _Optional[int] = ..., seq: _Optional[int] = ..., written: _Optional[int] = ..., stale: _Optional[int] = ..., tombstones: _Optional[int] = ...) -> None: ...

class CancelRunsRequest(_message.Message):
    __slots__ = ("runs", "reason")
    RUNS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    runs: _containers.RepeatedScalarFieldContainer[str]
    reason: str
    def __init__(self, runs: _Optional[_Iterable[str]] = ..., reason: _Optional[str] = ...) -> None: ...

class CancelRunsResponse(_message.Message):
    __slots__ = ("runs",)
    RUNS_FIELD_NUMBER: _ClassVar[int]
    runs: _containers.RepeatedCompositeFieldContainer[Run]
    def __init__(self, runs: _Optional[_Iterable[_Union[Run, _Mapping]]] = ...) -> None: ...

class ApproveRunRequest(_message.Message):
    __slots__ = ("run", "check", "reason", "expires_at")
    RUN_FIELD_NUMBER: _ClassVar[int]
    CHECK_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    run: str
    check: str
    reason: str
    expires_at: _timestamp_pb2.Timestamp
    def __init__(self, run: _Optional[str] = ..., check: _Optional[str] = ..., reason: _Optional[str] = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class ApproveRunResponse(_message.Message):
    __slots__ = ("approvals", "run")
    APPROVALS_FIELD_NUMBER: _ClassVar[int]
    RUN_FIELD_NUMBER: _ClassVar[int]
    approvals: _containers.RepeatedCompositeFieldContainer[_approval_pb2.Approval]
    run: Run
    def __init__(self, approvals: _Optional[_Iterable[_Union[_approval_pb2.Approval, _Mapping]]] = ..., run: _Optional[_Union[Run, _Mapping]] = ...) -> None: ...

class VerifyRunsRequest(_message.Message):
    __slots__ = ("runs", "since")
    RUNS_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    runs: _containers.RepeatedScalarFieldContainer[str]
    since: _timestamp_pb2.Timestamp
    def __init__(self, runs: _Optional[_Iterable[str]] = ..., since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class VerifyRunsResponse(_message.Message):
    __slots__ = ("run", "verdict", "digest", "details", "duration_micros", "total")
    RUN_FIELD_NUMBER: _ClassVar[int]
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    DETAILS_FIELD_NUMBER: _ClassVar[int]
    DURATION_MICROS_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    run: Run
    verdict: Verdict
    digest: str
    details: _containers.RepeatedScalarFieldContainer[str]
    duration_micros: int
    total: int
    def __init__(self, run: _Optional[_Union[Run, _Mapping]] = ..., verdict: _Optional[_Union[Verdict, str]] = ..., digest: _Optional[str] = ..., details: _Optional[_Iterable[str]] = ..., duration_micros: _Optional[int] = ..., total: _Optional[int] = ...) -> None: ...

class RunStatsRequest(_message.Message):
    __slots__ = ("views", "since")
    VIEWS_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    views: _containers.RepeatedScalarFieldContainer[str]
    since: _timestamp_pb2.Timestamp
    def __init__(self, views: _Optional[_Iterable[str]] = ..., since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class RunStatsResponse(_message.Message):
    __slots__ = ("views",)
    VIEWS_FIELD_NUMBER: _ClassVar[int]
    views: _containers.RepeatedCompositeFieldContainer[ViewStats]
    def __init__(self, views: _Optional[_Iterable[_Union[ViewStats, _Mapping]]] = ...) -> None: ...

class ViewStats(_message.Message):
    __slots__ = ("view", "view_version", "published", "failed", "cancelled", "success_rate", "recover_seconds", "freshness_kept", "duration_median_seconds", "duration_p95_seconds", "last_published_at", "rows_read", "rows_quarantined", "last_error")
    VIEW_FIELD_NUMBER: _ClassVar[int]
    VIEW_VERSION_FIELD_NUMBER: _ClassVar[int]
    PUBLISHED_FIELD_NUMBER: _ClassVar[int]
    FAILED_FIELD_NUMBER: _ClassVar[int]
    CANCELLED_FIELD_NUMBER: _ClassVar[int]
    SUCCESS_RATE_FIELD_NUMBER: _ClassVar[int]
    RECOVER_SECONDS_FIELD_NUMBER: _ClassVar[int]
    FRESHNESS_KEPT_FIELD_NUMBER: _ClassVar[int]
    DURATION_MEDIAN_SECONDS_FIELD_NUMBER: _ClassVar[int]
    DURATION_P95_SECONDS_FIELD_NUMBER: _ClassVar[int]
    LAST_PUBLISHED_AT_FIELD_NUMBER: _ClassVar[int]
    ROWS_READ_FIELD_NUMBER: _ClassVar[int]
    ROWS_QUARANTINED_FIELD_NUMBER: _ClassVar[int]
    LAST_ERROR_FIELD_NUMBER: _ClassVar[int]
    view: str
    view_version: int
    published: int
    failed: int
    cancelled: int
    success_rate: float
    recover_seconds: float
    freshness_kept: float
    duration_median_seconds: float
    duration_p95_seconds: float
    last_published_at: _timestamp_pb2.Timestamp
    rows_read: int
    rows_quarantined: int
    last_error: str
    def __init__(self, view: _Optional[str] = ..., view_version: _Optional[int] = ..., published: _Optional[int] = ..., failed: _Optional[int] = ..., cancelled: _Optional[int] = ..., success_rate: _Optional[float] = ..., recover_seconds: _Optional[float] = ..., freshness_kept: _Optional[float] = ..., duration_median_seconds: _Optional[float] = ..., duration_p95_seconds: _Optional[float] = ..., last_published_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., rows_read: _Optional[int] = ..., rows_quarantined: _Optional[int] = ..., last_error: _Optional[str] = ...) -> None: ...

class ListCheckResultsRequest(_message.Message):
    __slots__ = ("view", "check", "page_size", "before_id")
    VIEW_FIELD_NUMBER: _ClassVar[int]
    CHECK_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    BEFORE_ID_FIELD_NUMBER: _ClassVar[int]
    view: str
    check: str
    page_size: int
    before_id: int
    def __init__(self, view: _Optional[str] = ..., check: _Optional[str] = ..., page_size: _Optional[int] = ..., before_id: _Optional[int] = ...) -> None: ...

class ListCheckResultsResponse(_message.Message):
    __slots__ = ("results",)
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[CheckResult]
    def __init__(self, results: _Optional[_Iterable[_Union[CheckResult, _Mapping]]] = ...) -> None: ...

class CheckResult(_message.Message):
    __slots__ = ("run_id", "run", "time", "check", "run_state")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    RUN_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    CHECK_FIELD_NUMBER: _ClassVar[int]
    RUN_STATE_FIELD_NUMBER: _ClassVar[int]
    run_id: int
    run: str
    time: _timestamp_pb2.Timestamp
    check: Check
    run_state: RunState
    def __init__(self, run_id: _Optional[int] = ..., run: _Optional[str] = ..., time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., check: _Optional[_Union[Check, _Mapping]] = ..., run_state: _Optional[_Union[RunState, str]] = ...) -> None: ...

class CheckOnlineRequest(_message.Message):
    __slots__ = ("views", "max_differences")
    VIEWS_FIELD_NUMBER: _ClassVar[int]
    MAX_DIFFERENCES_FIELD_NUMBER: _ClassVar[int]
    views: _containers.RepeatedScalarFieldContainer[str]
    max_differences: int
    def __init__(self, views: _Optional[_Iterable[str]] = ..., max_differences: _Optional[int] = ...) -> None: ...

class CheckOnlineResponse(_message.Message):
    __slots__ = ("view", "view_version", "seq", "entities", "missing", "different", "surplus", "differences", "pending_loads", "repair")
    VIEW_FIELD_NUMBER: _ClassVar[int]
    VIEW_VERSION_FIELD_NUMBER: _ClassVar[int]
    SEQ_FIELD_NUMBER: _ClassVar[int]
    ENTITIES_FIELD_NUMBER: _ClassVar[int]
    MISSING_FIELD_NUMBER: _ClassVar[int]
    DIFFERENT_FIELD_NUMBER: _ClassVar[int]
    SURPLUS_FIELD_NUMBER: _ClassVar[int]
    DIFFERENCES_FIELD_NUMBER: _ClassVar[int]
    PENDING_LOADS_FIELD_NUMBER: _ClassVar[int]
    REPAIR_FIELD_NUMBER: _ClassVar[int]
    view: str
    view_version: int
    seq: int
    entities: int
    missing: int
    different: int
    surplus: int
    differences: _containers.RepeatedCompositeFieldContainer[OnlineDifference]
    pending_loads: int
    repair: OnlineRepair
    def __init__(self, view: _Optional[str] = ..., view_version: _Optional[int] = ..., seq: _Optional[int] = ..., entities: _Optional[int] = ..., missing: _Optional[int] = ..., different: _Optional[int] = ..., surplus: _Optional[int] = ..., differences: _Optional[_Iterable[_Union[OnlineDifference, _Mapping]]] = ..., pending_loads: _Optional[int] = ..., repair: _Optional[_Union[OnlineRepair, _Mapping]] = ...) -> None: ...

class OnlineRepair(_message.Message):
    __slots__ = ("noticed_at", "ended_at", "entities")
    NOTICED_AT_FIELD_NUMBER: _ClassVar[int]
    ENDED_AT_FIELD_NUMBER: _ClassVar[int]
    ENTITIES_FIELD_NUMBER: _ClassVar[int]
    noticed_at: _timestamp_pb2.Timestamp
    ended_at: _timestamp_pb2.Timestamp
    entities: int
    def __init__(self, noticed_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., ended_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., entities: _Optional[int] = ...) -> None: ...

class OnlineDifference(_message.Message):
    __slots__ = ("key", "kind", "expected", "found")
    KEY_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_FIELD_NUMBER: _ClassVar[int]
    FOUND_FIELD_NUMBER: _ClassVar[int]
    key: str
    kind: str
    expected: str
    found: str
    def __init__(self, key: _Optional[str] = ..., kind: _Optional[str] = ..., expected: _Optional[str] = ..., found: _Optional[str] = ...) -> None: ...
