import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from headwater.v1 import options_pb2 as _options_pb2
from headwater.v1 import value_pb2 as _value_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class DriftVerdict(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DRIFT_VERDICT_UNSPECIFIED: _ClassVar[DriftVerdict]
    DRIFT_VERDICT_OK: _ClassVar[DriftVerdict]
    DRIFT_VERDICT_WARN: _ClassVar[DriftVerdict]
    DRIFT_VERDICT_FAIL: _ClassVar[DriftVerdict]
    DRIFT_VERDICT_NOT_ENOUGH_DATA: _ClassVar[DriftVerdict]
    DRIFT_VERDICT_NO_BASELINE: _ClassVar[DriftVerdict]
DRIFT_VERDICT_UNSPECIFIED: DriftVerdict
DRIFT_VERDICT_OK: DriftVerdict
DRIFT_VERDICT_WARN: DriftVerdict
DRIFT_VERDICT_FAIL: DriftVerdict
DRIFT_VERDICT_NOT_ENOUGH_DATA: DriftVerdict
DRIFT_VERDICT_NO_BASELINE: DriftVerdict

class GetQualityRequest(_message.Message):
    __slots__ = ("node", "since", "kind")
    NODE_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    node: str
    since: _timestamp_pb2.Timestamp
    kind: str
    def __init__(self, node: _Optional[str] = ..., since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., kind: _Optional[str] = ...) -> None: ...

class GetQualityResponse(_message.Message):
    __slots__ = ("nodes", "history")
    NODES_FIELD_NUMBER: _ClassVar[int]
    HISTORY_FIELD_NUMBER: _ClassVar[int]
    nodes: _containers.RepeatedCompositeFieldContainer[NodeQuality]
    history: _containers.RepeatedCompositeFieldContainer[QualityPoint]
    def __init__(self, nodes: _Optional[_Iterable[_Union[NodeQuality, _Mapping]]] = ..., history: _Optional[_Iterable[_Union[QualityPoint, _Mapping]]] = ...) -> None: ...

class NodeQuality(_message.Message):
    __slots__ = ("node", "owner", "run", "failed", "ended_at", "score", "parts")
    NODE_FIELD_NUMBER: _ClassVar[int]
    OWNER_FIELD_NUMBER: _ClassVar[int]
    RUN_FIELD_NUMBER: _ClassVar[int]
    FAILED_FIELD_NUMBER: _ClassVar[int]
    ENDED_AT_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    PARTS_FIELD_NUMBER: _ClassVar[int]
    node: str
    owner: str
    run: str
    failed: bool
    ended_at: _timestamp_pb2.Timestamp
    score: float
    parts: _containers.RepeatedCompositeFieldContainer[QualityPart]
    def __init__(self, node: _Optional[str] = ..., owner: _Optional[str] = ..., run: _Optional[str] = ..., failed: bool = ..., ended_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., score: _Optional[float] = ..., parts: _Optional[_Iterable[_Union[QualityPart, _Mapping]]] = ...) -> None: ...

class QualityPart(_message.Message):
    __slots__ = ("name", "value", "detail")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    name: str
    value: float
    detail: str
    def __init__(self, name: _Optional[str] = ..., value: _Optional[float] = ..., detail: _Optional[str] = ...) -> None: ...

class QualityPoint(_message.Message):
    __slots__ = ("at", "score", "parts")
    AT_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    PARTS_FIELD_NUMBER: _ClassVar[int]
    at: _timestamp_pb2.Timestamp
    score: float
    parts: _containers.RepeatedCompositeFieldContainer[QualityPart]
    def __init__(self, at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., score: _Optional[float] = ..., parts: _Optional[_Iterable[_Union[QualityPart, _Mapping]]] = ...) -> None: ...

class GetSkewRequest(_message.Message):
    __slots__ = ("model", "since", "until", "sample")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    UNTIL_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_FIELD_NUMBER: _ClassVar[int]
    model: str
    since: _timestamp_pb2.Timestamp
    until: _timestamp_pb2.Timestamp
    sample: int
    def __init__(self, model: _Optional[str] = ..., since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., until: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., sample: _Optional[int] = ...) -> None: ...

class GetSkewResponse(_message.Message):
    __slots__ = ("model", "service", "baseline", "since", "until", "reads", "entities", "computed", "hidden", "not_computed", "why", "features")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    SERVICE_FIELD_NUMBER: _ClassVar[int]
    BASELINE_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    UNTIL_FIELD_NUMBER: _ClassVar[int]
    READS_FIELD_NUMBER: _ClassVar[int]
    ENTITIES_FIELD_NUMBER: _ClassVar[int]
    COMPUTED_FIELD_NUMBER: _ClassVar[int]
    HIDDEN_FIELD_NUMBER: _ClassVar[int]
    NOT_COMPUTED_FIELD_NUMBER: _ClassVar[int]
    WHY_FIELD_NUMBER: _ClassVar[int]
    FEATURES_FIELD_NUMBER: _ClassVar[int]
    model: str
    service: str
    baseline: str
    since: _timestamp_pb2.Timestamp
    until: _timestamp_pb2.Timestamp
    reads: int
    entities: int
    computed: int
    hidden: int
    not_computed: int
    why: str
    features: _containers.RepeatedCompositeFieldContainer[FeatureSkew]
    def __init__(self, model: _Optional[str] = ..., service: _Optional[str] = ..., baseline: _Optional[str] = ..., since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., until: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., reads: _Optional[int] = ..., entities: _Optional[int] = ..., computed: _Optional[int] = ..., hidden: _Optional[int] = ..., not_computed: _Optional[int] = ..., why: _Optional[str] = ..., features: _Optional[_Iterable[_Union[FeatureSkew, _Mapping]]] = ...) -> None: ...

class FeatureSkew(_message.Message):
    __slots__ = ("drift", "matching", "lagging", "different", "only_online", "only_offline", "not_checked", "examples")
    DRIFT_FIELD_NUMBER: _ClassVar[int]
    MATCHING_FIELD_NUMBER: _ClassVar[int]
    LAGGING_FIELD_NUMBER: _ClassVar[int]
    DIFFERENT_FIELD_NUMBER: _ClassVar[int]
    ONLY_ONLINE_FIELD_NUMBER: _ClassVar[int]
    ONLY_OFFLINE_FIELD_NUMBER: _ClassVar[int]
    NOT_CHECKED_FIELD_NUMBER: _ClassVar[int]
    EXAMPLES_FIELD_NUMBER: _ClassVar[int]
    drift: ColumnDrift
    matching: int
    lagging: int
    different: int
    only_online: int
    only_offline: int
    not_checked: int
    examples: _containers.RepeatedCompositeFieldContainer[SkewExample]
    def __init__(self, drift: _Optional[_Union[ColumnDrift, _Mapping]] = ..., matching: _Optional[int] = ..., lagging: _Optional[int] = ..., different: _Optional[int] = ..., only_online: _Optional[int] = ..., only_offline: _Optional[int] = ..., not_checked: _Optional[int] = ..., examples: _Optional[_Iterable[_Union[SkewExample, _Mapping]]] = ...) -> None: ...

class SkewExample(_message.Message):
    __slots__ = ("read_id", "row", "served", "recomputed", "served_run", "recomputed_run")
    READ_ID_FIELD_NUMBER: _ClassVar[int]
    ROW_FIELD_NUMBER: _ClassVar[int]
    SERVED_FIELD_NUMBER: _ClassVar[int]
    RECOMPUTED_FIELD_NUMBER: _ClassVar[int]
    SERVED_RUN_FIELD_NUMBER: _ClassVar[int]
    RECOMPUTED_RUN_FIELD_NUMBER: _ClassVar[int]
    read_id: str
    row: int
    served: str
    recomputed: str
    served_run: int
    recomputed_run: int
    def __init__(self, read_id: _Optional[str] = ..., row: _Optional[int] = ..., served: _Optional[str] = ..., recomputed: _Optional[str] = ..., served_run: _Optional[int] = ..., recomputed_run: _Optional[int] = ...) -> None: ...

class SetBaselineRequest(_message.Message):
    __slots__ = ("name", "node", "subject", "reason")
    NAME_FIELD_NUMBER: _ClassVar[int]
    NODE_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    name: str
    node: str
    subject: str
    reason: str
    def __init__(self, name: _Optional[str] = ..., node: _Optional[str] = ..., subject: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class SetBaselineResponse(_message.Message):
    __slots__ = ("baseline", "replaced")
    BASELINE_FIELD_NUMBER: _ClassVar[int]
    REPLACED_FIELD_NUMBER: _ClassVar[int]
    baseline: Baseline
    replaced: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, baseline: _Optional[_Union[Baseline, _Mapping]] = ..., replaced: _Optional[_Iterable[str]] = ...) -> None: ...

class ListBaselinesRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListBaselinesResponse(_message.Message):
    __slots__ = ("baselines",)
    BASELINES_FIELD_NUMBER: _ClassVar[int]
    baselines: _containers.RepeatedCompositeFieldContainer[Baseline]
    def __init__(self, baselines: _Optional[_Iterable[_Union[Baseline, _Mapping]]] = ...) -> None: ...

class GetBaselineRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class GetBaselineResponse(_message.Message):
    __slots__ = ("versions",)
    VERSIONS_FIELD_NUMBER: _ClassVar[int]
    versions: _containers.RepeatedCompositeFieldContainer[Baseline]
    def __init__(self, versions: _Optional[_Iterable[_Union[Baseline, _Mapping]]] = ...) -> None: ...

class RemoveBaselineRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class RemoveBaselineResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Baseline(_message.Message):
    __slots__ = ("name", "version", "subject", "node", "rows", "reason", "set_at", "set_by", "ended_at", "ended_by", "erased_at")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    NODE_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    SET_AT_FIELD_NUMBER: _ClassVar[int]
    SET_BY_FIELD_NUMBER: _ClassVar[int]
    ENDED_AT_FIELD_NUMBER: _ClassVar[int]
    ENDED_BY_FIELD_NUMBER: _ClassVar[int]
    ERASED_AT_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: int
    subject: str
    node: str
    rows: int
    reason: str
    set_at: _timestamp_pb2.Timestamp
    set_by: str
    ended_at: _timestamp_pb2.Timestamp
    ended_by: str
    erased_at: _timestamp_pb2.Timestamp
    def __init__(self, name: _Optional[str] = ..., version: _Optional[int] = ..., subject: _Optional[str] = ..., node: _Optional[str] = ..., rows: _Optional[int] = ..., reason: _Optional[str] = ..., set_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., set_by: _Optional[str] = ..., ended_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., ended_by: _Optional[str] = ..., erased_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class CompareProfilesRequest(_message.Message):
    __slots__ = ("baseline", "current", "warn", "fail")
    BASELINE_FIELD_NUMBER: _ClassVar[int]
    CURRENT_FIELD_NUMBER: _ClassVar[int]
    WARN_FIELD_NUMBER: _ClassVar[int]
    FAIL_FIELD_NUMBER: _ClassVar[int]
    baseline: str
    current: str
    warn: float
    fail: float
    def __init__(self, baseline: _Optional[str] = ..., current: _Optional[str] = ..., warn: _Optional[float] = ..., fail: _Optional[float] = ...) -> None: ...

class CompareProfilesResponse(_message.Message):
    __slots__ = ("baseline", "current", "columns")
    BASELINE_FIELD_NUMBER: _ClassVar[int]
    CURRENT_FIELD_NUMBER: _ClassVar[int]
    COLUMNS_FIELD_NUMBER: _ClassVar[int]
    baseline: str
    current: str
    columns: _containers.RepeatedCompositeFieldContainer[ColumnDrift]
    def __init__(self, baseline: _Optional[str] = ..., current: _Optional[str] = ..., columns: _Optional[_Iterable[_Union[ColumnDrift, _Mapping]]] = ...) -> None: ...

class ColumnDrift(_message.Message):
    __slots__ = ("name", "verdict", "reason", "baseline_rows", "current_rows", "buckets", "psi", "psi_floor", "jensen_shannon_distance_nats", "jensen_shannon_divergence_bits", "l_infinity", "chi_square", "chi_square_freedom", "chi_square_p", "kolmogorov_smirnov", "kolmogorov_smirnov_floor", "wasserstein", "unseen", "completeness_change")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    BASELINE_ROWS_FIELD_NUMBER: _ClassVar[int]
    CURRENT_ROWS_FIELD_NUMBER: _ClassVar[int]
    BUCKETS_FIELD_NUMBER: _ClassVar[int]
    PSI_FIELD_NUMBER: _ClassVar[int]
    PSI_FLOOR_FIELD_NUMBER: _ClassVar[int]
    JENSEN_SHANNON_DISTANCE_NATS_FIELD_NUMBER: _ClassVar[int]
    JENSEN_SHANNON_DIVERGENCE_BITS_FIELD_NUMBER: _ClassVar[int]
    L_INFINITY_FIELD_NUMBER: _ClassVar[int]
    CHI_SQUARE_FIELD_NUMBER: _ClassVar[int]
    CHI_SQUARE_FREEDOM_FIELD_NUMBER: _ClassVar[int]
    CHI_SQUARE_P_FIELD_NUMBER: _ClassVar[int]
    KOLMOGOROV_SMIRNOV_FIELD_NUMBER: _ClassVar[int]
    KOLMOGOROV_SMIRNOV_FLOOR_FIELD_NUMBER: _ClassVar[int]
    WASSERSTEIN_FIELD_NUMBER: _ClassVar[int]
    UNSEEN_FIELD_NUMBER: _ClassVar[int]
    COMPLETENESS_CHANGE_FIELD_NUMBER: _ClassVar[int]
    name: str
    verdict: DriftVerdict
    reason: str
    baseline_rows: int
    current_rows: int
    buckets: _containers.RepeatedCompositeFieldContainer[DriftBucket]
    psi: float
    psi_floor: float
    jensen_shannon_distance_nats: float
    jensen_shannon_divergence_bits: float
    l_infinity: float
    chi_square: float
    chi_square_freedom: int
    chi_square_p: float
    kolmogorov_smirnov: float
    kolmogorov_smirnov_floor: float
    wasserstein: float
    unseen: float
    completeness_change: float
    def __init__(self, name: _Optional[str] = ..., verdict: _Optional[_Union[DriftVerdict, str]] = ..., reason: _Optional[str] = ..., baseline_rows: _Optional[int] = ..., current_rows: _Optional[int] = ..., buckets: _Optional[_Iterable[_Union[DriftBucket, _Mapping]]] = ..., psi: _Optional[float] = ..., psi_floor: _Optional[float] = ..., jensen_shannon_distance_nats: _Optional[float] = ..., jensen_shannon_divergence_bits: _Optional[float] = ..., l_infinity: _Optional[float] = ..., chi_square: _Optional[float] = ..., chi_square_freedom: _Optional[int] = ..., chi_square_p: _Optional[float] = ..., kolmogorov_smirnov: _Optional[float] = ..., kolmogorov_smirnov_floor: _Optional[float] = ..., wasserstein: _Optional[float] = ..., unseen: _Optional[float] = ..., completeness_change: _Optional[float] = ...) -> None: ...

class DriftBucket(_message.Message):
    __slots__ = ("label", "baseline", "current")
    LABEL_FIELD_NUMBER: _ClassVar[int]
    BASELINE_FIELD_NUMBER: _ClassVar[int]
    CURRENT_FIELD_NUMBER: _ClassVar[int]
    label: str
    baseline: int
    current: int
    def __init__(self, label: _Optional[str] = ..., baseline: _Optional[int] = ..., current: _Optional[int] = ...) -> None: ...

class GetProfileRequest(_message.Message):
    __slots__ = ("node", "against")
    NODE_FIELD_NUMBER: _ClassVar[int]
    AGAINST_FIELD_NUMBER: _ClassVar[int]
    node: str
    against: str
    def __init__(self, node: _Optional[str] = ..., against: _Optional[str] = ...) -> None: ...

class GetProfileResponse(_message.Message):
    __slots__ = ("profile", "against")
    PROFILE_FIELD_NUMBER: _ClassVar[int]
    AGAINST_FIELD_NUMBER: _ClassVar[int]
    profile: Profile
    against: Profile
    def __init__(self, profile: _Optional[_Union[Profile, _Mapping]] = ..., against: _Optional[_Union[Profile, _Mapping]] = ...) -> None: ...

class Profile(_message.Message):
    __slots__ = ("node", "rows", "digest", "columns", "time_step", "by_time", "by_group", "withheld")
    NODE_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    COLUMNS_FIELD_NUMBER: _ClassVar[int]
    TIME_STEP_FIELD_NUMBER: _ClassVar[int]
    BY_TIME_FIELD_NUMBER: _ClassVar[int]
    BY_GROUP_FIELD_NUMBER: _ClassVar[int]
    WITHHELD_FIELD_NUMBER: _ClassVar[int]
    node: str
    rows: int
    digest: str
    columns: _containers.RepeatedCompositeFieldContainer[ColumnProfile]
    time_step: str
    by_time: _containers.RepeatedCompositeFieldContainer[TimeCompleteness]
    by_group: _containers.RepeatedCompositeFieldContainer[GroupedCompleteness]
    withheld: str
    def __init__(self, node: _Optional[str] = ..., rows: _Optional[int] = ..., digest: _Optional[str] = ..., columns: _Optional[_Iterable[_Union[ColumnProfile, _Mapping]]] = ..., time_step: _Optional[str] = ..., by_time: _Optional[_Iterable[_Union[TimeCompleteness, _Mapping]]] = ..., by_group: _Optional[_Iterable[_Union[GroupedCompleteness, _Mapping]]] = ..., withheld: _Optional[str] = ...) -> None: ...

class ColumnProfile(_message.Message):
    __slots__ = ("name", "type_name", "key", "nulls", "nans", "positive_infinities", "negative_infinities", "empty", "distinct", "distinct_exact", "values")
    NAME_FIELD_NUMBER: _ClassVar[int]
    TYPE_NAME_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    NULLS_FIELD_NUMBER: _ClassVar[int]
    NANS_FIELD_NUMBER: _ClassVar[int]
    POSITIVE_INFINITIES_FIELD_NUMBER: _ClassVar[int]
    NEGATIVE_INFINITIES_FIELD_NUMBER: _ClassVar[int]
    EMPTY_FIELD_NUMBER: _ClassVar[int]
    DISTINCT_FIELD_NUMBER: _ClassVar[int]
    DISTINCT_EXACT_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    name: str
    type_name: str
    key: bool
    nulls: int
    nans: int
    positive_infinities: int
    negative_infinities: int
    empty: int
    distinct: int
    distinct_exact: bool
    values: ValueProfile
    def __init__(self, name: _Optional[str] = ..., type_name: _Optional[str] = ..., key: bool = ..., nulls: _Optional[int] = ..., nans: _Optional[int] = ..., positive_infinities: _Optional[int] = ..., negative_infinities: _Optional[int] = ..., empty: _Optional[int] = ..., distinct: _Optional[int] = ..., distinct_exact: bool = ..., values: _Optional[_Union[ValueProfile, _Mapping]] = ...) -> None: ...

class ValueProfile(_message.Message):
    __slots__ = ("min", "max", "mean", "standard_deviation", "quantiles", "quantile_error", "histogram", "top", "top_exact", "lengths", "true_share")
    MIN_FIELD_NUMBER: _ClassVar[int]
    MAX_FIELD_NUMBER: _ClassVar[int]
    MEAN_FIELD_NUMBER: _ClassVar[int]
    STANDARD_DEVIATION_FIELD_NUMBER: _ClassVar[int]
    QUANTILES_FIELD_NUMBER: _ClassVar[int]
    QUANTILE_ERROR_FIELD_NUMBER: _ClassVar[int]
    HISTOGRAM_FIELD_NUMBER: _ClassVar[int]
    TOP_FIELD_NUMBER: _ClassVar[int]
    TOP_EXACT_FIELD_NUMBER: _ClassVar[int]
    LENGTHS_FIELD_NUMBER: _ClassVar[int]
    TRUE_SHARE_FIELD_NUMBER: _ClassVar[int]
    min: _value_pb2.Value
    max: _value_pb2.Value
    mean: float
    standard_deviation: float
    quantiles: _containers.RepeatedCompositeFieldContainer[QuantileValue]
    quantile_error: float
    histogram: _containers.RepeatedCompositeFieldContainer[HistogramBin]
    top: _containers.RepeatedCompositeFieldContainer[FrequentValue]
    top_exact: bool
    lengths: Lengths
    true_share: float
    def __init__(self, min: _Optional[_Union[_value_pb2.Value, _Mapping]] = ..., max: _Optional[_Union[_value_pb2.Value, _Mapping]] = ..., mean: _Optional[float] = ..., standard_deviation: _Optional[float] = ..., quantiles: _Optional[_Iterable[_Union[QuantileValue, _Mapping]]] = ..., quantile_error: _Optional[float] = ..., histogram: _Optional[_Iterable[_Union[HistogramBin, _Mapping]]] = ..., top: _Optional[_Iterable[_Union[FrequentValue, _Mapping]]] = ..., top_exact: bool = ..., lengths: _Optional[_Union[Lengths, _Mapping]] = ..., true_share: _Optional[float] = ...) -> None: ...

class QuantileValue(_message.Message):
    __slots__ = ("q", "value")
    Q_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    q: float
    value: float
    def __init__(self, q: _Optional[float] = ..., value: _Optional[float] = ...) -> None: ...

class HistogramBin(_message.Message):
    __slots__ = ("to", "rows")
    FROM_FIELD_NUMBER: _ClassVar[int]
    TO_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    to: _value_pb2.Value
    rows: int
    def __init__(self, to: _Optional[_Union[_value_pb2.Value, _Mapping]] = ..., rows: _Optional[int] = ..., **kwargs) -> None: ...

class FrequentValue(_message.Message):
    __slots__ = ("value", "rows")
    VALUE_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    value: _value_pb2.Value
    rows: int
    def __init__(self, value: _Optional[_Union[_value_pb2.Value, _Mapping]] = ..., rows: _Optional[int] = ...) -> None: ...

class Lengths(_message.Message):
    __slots__ = ("min", "max", "mean")
    MIN_FIELD_NUMBER: _ClassVar[int]
    MAX_FIELD_NUMBER: _ClassVar[int]
    MEAN_FIELD_NUMBER: _ClassVar[int]
    min: int
    max: int
    mean: float
    def __init__(self, min: _Optional[int] = ..., max: _Optional[int] = ..., mean: _Optional[float] = ...) -> None: ...

class TimeCompleteness(_message.Message):
    __slots__ = ("to", "rows", "present")
    FROM_FIELD_NUMBER: _ClassVar[int]
    TO_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    PRESENT_FIELD_NUMBER: _ClassVar[int]
    to: _timestamp_pb2.Timestamp
    rows: int
    present: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, to: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., rows: _Optional[int] = ..., present: _Optional[_Iterable[int]] = ..., **kwargs) -> None: ...

class GroupedCompleteness(_message.Message):
    __slots__ = ("column", "too_many", "groups")
    COLUMN_FIELD_NUMBER: _ClassVar[int]
    TOO_MANY_FIELD_NUMBER: _ClassVar[int]
    GROUPS_FIELD_NUMBER: _ClassVar[int]
    column: str
    too_many: bool
    groups: _containers.RepeatedCompositeFieldContainer[GroupCompleteness]
    def __init__(self, column: _Optional[str] = ..., too_many: bool = ..., groups: _Optional[_Iterable[_Union[GroupCompleteness, _Mapping]]] = ...) -> None: ...

class GroupCompleteness(_message.Message):
    __slots__ = ("value", "rows", "present")
    VALUE_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    PRESENT_FIELD_NUMBER: _ClassVar[int]
    value: _value_pb2.Value
    rows: int
    present: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, value: _Optional[_Union[_value_pb2.Value, _Mapping]] = ..., rows: _Optional[int] = ..., present: _Optional[_Iterable[int]] = ...) -> None: ...
