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

class PerformanceBy(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PERFORMANCE_BY_UNSPECIFIED: _ClassVar[PerformanceBy]
    PERFORMANCE_BY_RUN: _ClassVar[PerformanceBy]
    PERFORMANCE_BY_LOAD: _ClassVar[PerformanceBy]
    PERFORMANCE_BY_SOURCE: _ClassVar[PerformanceBy]
    PERFORMANCE_BY_NULL_PATTERN: _ClassVar[PerformanceBy]
    PERFORMANCE_BY_FEATURE_BUCKET: _ClassVar[PerformanceBy]
    PERFORMANCE_BY_COLUMN: _ClassVar[PerformanceBy]

class ModelTask(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    MODEL_TASK_UNSPECIFIED: _ClassVar[ModelTask]
    MODEL_TASK_CLASSIFICATION: _ClassVar[ModelTask]
    MODEL_TASK_REGRESSION: _ClassVar[ModelTask]

class LossVerdict(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    LOSS_VERDICT_UNSPECIFIED: _ClassVar[LossVerdict]
    LOSS_VERDICT_UPSTREAM_SUSPECT: _ClassVar[LossVerdict]
    LOSS_VERDICT_UNIFORM_DECAY: _ClassVar[LossVerdict]
    LOSS_VERDICT_LABEL_ISSUE: _ClassVar[LossVerdict]
    LOSS_VERDICT_INSUFFICIENT_LABELS: _ClassVar[LossVerdict]
    LOSS_VERDICT_NO_DECAY: _ClassVar[LossVerdict]
PERFORMANCE_BY_UNSPECIFIED: PerformanceBy
PERFORMANCE_BY_RUN: PerformanceBy
PERFORMANCE_BY_LOAD: PerformanceBy
PERFORMANCE_BY_SOURCE: PerformanceBy
PERFORMANCE_BY_NULL_PATTERN: PerformanceBy
PERFORMANCE_BY_FEATURE_BUCKET: PerformanceBy
PERFORMANCE_BY_COLUMN: PerformanceBy
MODEL_TASK_UNSPECIFIED: ModelTask
MODEL_TASK_CLASSIFICATION: ModelTask
MODEL_TASK_REGRESSION: ModelTask
LOSS_VERDICT_UNSPECIFIED: LossVerdict
LOSS_VERDICT_UPSTREAM_SUSPECT: LossVerdict
LOSS_VERDICT_UNIFORM_DECAY: LossVerdict
LOSS_VERDICT_LABEL_ISSUE: LossVerdict
LOSS_VERDICT_INSUFFICIENT_LABELS: LossVerdict
LOSS_VERDICT_NO_DECAY: LossVerdict

class GetPerformanceRequest(_message.Message):
    __slots__ = ("model", "by", "column", "since", "until", "task", "positive")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    COLUMN_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    UNTIL_FIELD_NUMBER: _ClassVar[int]
    TASK_FIELD_NUMBER: _ClassVar[int]
    POSITIVE_FIELD_NUMBER: _ClassVar[int]
    model: str
    by: PerformanceBy
    column: str
    since: _timestamp_pb2.Timestamp
    until: _timestamp_pb2.Timestamp
    task: ModelTask
    positive: str
    def __init__(self, model: _Optional[str] = ..., by: _Optional[_Union[PerformanceBy, str]] = ..., column: _Optional[str] = ..., since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., until: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., task: _Optional[_Union[ModelTask, str]] = ..., positive: _Optional[str] = ...) -> None: ...

class GetPerformanceResponse(_message.Message):
    __slots__ = ("model", "task", "positive", "overall", "slices", "hidden", "without_read", "parked", "notes")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    TASK_FIELD_NUMBER: _ClassVar[int]
    POSITIVE_FIELD_NUMBER: _ClassVar[int]
    OVERALL_FIELD_NUMBER: _ClassVar[int]
    SLICES_FIELD_NUMBER: _ClassVar[int]
    HIDDEN_FIELD_NUMBER: _ClassVar[int]
    WITHOUT_READ_FIELD_NUMBER: _ClassVar[int]
    PARKED_FIELD_NUMBER: _ClassVar[int]
    NOTES_FIELD_NUMBER: _ClassVar[int]
    model: str
    task: ModelTask
    positive: str
    overall: PerformanceSlice
    slices: _containers.RepeatedCompositeFieldContainer[PerformanceSlice]
    hidden: int
    without_read: int
    parked: int
    notes: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, model: _Optional[str] = ..., task: _Optional[_Union[ModelTask, str]] = ..., positive: _Optional[str] = ..., overall: _Optional[_Union[PerformanceSlice, _Mapping]] = ..., slices: _Optional[_Iterable[_Union[PerformanceSlice, _Mapping]]] = ..., hidden: _Optional[int] = ..., without_read: _Optional[int] = ..., parked: _Optional[int] = ..., notes: _Optional[_Iterable[str]] = ...) -> None: ...

class Estimate(_message.Message):
    __slots__ = ("value", "low", "high", "n")
    VALUE_FIELD_NUMBER: _ClassVar[int]
    LOW_FIELD_NUMBER: _ClassVar[int]
    HIGH_FIELD_NUMBER: _ClassVar[int]
    N_FIELD_NUMBER: _ClassVar[int]
    value: float
    low: float
    high: float
    n: int
    def __init__(self, value: _Optional[float] = ..., low: _Optional[float] = ..., high: _Optional[float] = ..., n: _Optional[int] = ...) -> None: ...

class PerformanceSlice(_message.Message):
    __slots__ = ("slice", "title", "predictions", "labelled", "exact", "why", "coverage", "loss", "accuracy", "precision", "recall", "auc", "log_loss", "brier", "mae", "rmse", "bias")
    SLICE_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    PREDICTIONS_FIELD_NUMBER: _ClassVar[int]
    LABELLED_FIELD_NUMBER: _ClassVar[int]
    EXACT_FIELD_NUMBER: _ClassVar[int]
    WHY_FIELD_NUMBER: _ClassVar[int]
    COVERAGE_FIELD_NUMBER: _ClassVar[int]
    LOSS_FIELD_NUMBER: _ClassVar[int]
    ACCURACY_FIELD_NUMBER: _ClassVar[int]
    PRECISION_FIELD_NUMBER: _ClassVar[int]
    RECALL_FIELD_NUMBER: _ClassVar[int]
    AUC_FIELD_NUMBER: _ClassVar[int]
    LOG_LOSS_FIELD_NUMBER: _ClassVar[int]
    BRIER_FIELD_NUMBER: _ClassVar[int]
    MAE_FIELD_NUMBER: _ClassVar[int]
    RMSE_FIELD_NUMBER: _ClassVar[int]
    BIAS_FIELD_NUMBER: _ClassVar[int]
    slice: str
    title: str
    predictions: int
    labelled: int
    exact: bool
    why: str
    coverage: Estimate
    loss: Estimate
    accuracy: Estimate
    precision: Estimate
    recall: Estimate
    auc: Estimate
    log_loss: Estimate
    brier: Estimate
    mae: Estimate
    rmse: Estimate
    bias: Estimate
    def __init__(self, slice: _Optional[str] = ..., title: _Optional[str] = ..., predictions: _Optional[int] = ..., labelled: _Optional[int] = ..., exact: bool = ..., why: _Optional[str] = ..., coverage: _Optional[_Union[Estimate, _Mapping]] = ..., loss: _Optional[_Union[Estimate, _Mapping]] = ..., accuracy: _Optional[_Union[Estimate, _Mapping]] = ..., precision: _Optional[_Union[Estimate, _Mapping]] = ..., recall: _Optional[_Union[Estimate, _Mapping]] = ..., auc: _Optional[_Union[Estimate, _Mapping]] = ..., log_loss: _Optional[_Union[Estimate, _Mapping]] = ..., brier: _Optional[_Union[Estimate, _Mapping]] = ..., mae: _Optional[_Union[Estimate, _Mapping]] = ..., rmse: _Optional[_Union[Estimate, _Mapping]] = ..., bias: _Optional[_Union[Estimate, _Mapping]] = ...) -> None: ...

class AttributeLossRequest(_message.Message):
    __slots__ = ("model", "since", "until", "task", "positive")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    UNTIL_FIELD_NUMBER: _ClassVar[int]
    TASK_FIELD_NUMBER: _ClassVar[int]
    POSITIVE_FIELD_NUMBER: _ClassVar[int]
    model: str
    since: _timestamp_pb2.Timestamp
    until: _timestamp_pb2.Timestamp
    task: ModelTask
    positive: str
    def __init__(self, model: _Optional[str] = ..., since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., until: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., task: _Optional[_Union[ModelTask, str]] = ..., positive: _Optional[str] = ...) -> None: ...

class AttributeLossResponse(_message.Message):
    __slots__ = ("model", "verdict", "reason", "suspect", "before", "since", "labels_moved", "predictions_moved", "slices", "tested", "hidden", "without_read", "notes", "task", "positive")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    SUSPECT_FIELD_NUMBER: _ClassVar[int]
    BEFORE_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    LABELS_MOVED_FIELD_NUMBER: _ClassVar[int]
    PREDICTIONS_MOVED_FIELD_NUMBER: _ClassVar[int]
    SLICES_FIELD_NUMBER: _ClassVar[int]
    TESTED_FIELD_NUMBER: _ClassVar[int]
    HIDDEN_FIELD_NUMBER: _ClassVar[int]
    WITHOUT_READ_FIELD_NUMBER: _ClassVar[int]
    NOTES_FIELD_NUMBER: _ClassVar[int]
    TASK_FIELD_NUMBER: _ClassVar[int]
    POSITIVE_FIELD_NUMBER: _ClassVar[int]
    model: str
    verdict: LossVerdict
    reason: str
    suspect: LossSuspect
    before: Estimate
    since: Estimate
    labels_moved: float
    predictions_moved: float
    slices: _containers.RepeatedCompositeFieldContainer[AttributedSlice]
    tested: int
    hidden: int
    without_read: int
    notes: _containers.RepeatedScalarFieldContainer[str]
    task: ModelTask
    positive: str
    def __init__(self, model: _Optional[str] = ..., verdict: _Optional[_Union[LossVerdict, str]] = ..., reason: _Optional[str] = ..., suspect: _Optional[_Union[LossSuspect, _Mapping]] = ..., before: _Optional[_Union[Estimate, _Mapping]] = ..., since: _Optional[_Union[Estimate, _Mapping]] = ..., labels_moved: _Optional[float] = ..., predictions_moved: _Optional[float] = ..., slices: _Optional[_Iterable[_Union[AttributedSlice, _Mapping]]] = ..., tested: _Optional[int] = ..., hidden: _Optional[int] = ..., without_read: _Optional[int] = ..., notes: _Optional[_Iterable[str]] = ..., task: _Optional[_Union[ModelTask, str]] = ..., positive: _Optional[str] = ...) -> None: ...

class LossSuspect(_message.Message):
    __slots__ = ("slice", "source", "load", "file", "run", "commands")
    SLICE_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    LOAD_FIELD_NUMBER: _ClassVar[int]
    FILE_FIELD_NUMBER: _ClassVar[int]
    RUN_FIELD_NUMBER: _ClassVar[int]
    COMMANDS_FIELD_NUMBER: _ClassVar[int]
    slice: str
    source: str
    load: int
    file: str
    run: str
    commands: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, slice: _Optional[str] = ..., source: _Optional[str] = ..., load: _Optional[int] = ..., file: _Optional[str] = ..., run: _Optional[str] = ..., commands: _Optional[_Iterable[str]] = ...) -> None: ...

class AttributedSlice(_message.Message):
    __slots__ = ("slice", "title", "labelled", "excess", "usual", "p", "q", "stands_out", "tested", "exact", "why", "evidence")
    SLICE_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    LABELLED_FIELD_NUMBER: _ClassVar[int]
    EXCESS_FIELD_NUMBER: _ClassVar[int]
    USUAL_FIELD_NUMBER: _ClassVar[int]
    P_FIELD_NUMBER: _ClassVar[int]
    Q_FIELD_NUMBER: _ClassVar[int]
    STANDS_OUT_FIELD_NUMBER: _ClassVar[int]
    TESTED_FIELD_NUMBER: _ClassVar[int]
    EXACT_FIELD_NUMBER: _ClassVar[int]
    WHY_FIELD_NUMBER: _ClassVar[int]
    EVIDENCE_FIELD_NUMBER: _ClassVar[int]
    slice: str
    title: str
    labelled: int
    excess: Estimate
    usual: float
    p: float
    q: float
    stands_out: bool
    tested: bool
    exact: bool
    why: str
    evidence: _containers.RepeatedCompositeFieldContainer[RunEvidence]
    def __init__(self, slice: _Optional[str] = ..., title: _Optional[str] = ..., labelled: _Optional[int] = ..., excess: _Optional[_Union[Estimate, _Mapping]] = ..., usual: _Optional[float] = ..., p: _Optional[float] = ..., q: _Optional[float] = ..., stands_out: bool = ..., tested: bool = ..., exact: bool = ..., why: _Optional[str] = ..., evidence: _Optional[_Iterable[_Union[RunEvidence, _Mapping]]] = ...) -> None: ...

class RunEvidence(_message.Message):
    __slots__ = ("run", "checks", "drift")
    RUN_FIELD_NUMBER: _ClassVar[int]
    CHECKS_FIELD_NUMBER: _ClassVar[int]
    DRIFT_FIELD_NUMBER: _ClassVar[int]
    run: str
    checks: _containers.RepeatedScalarFieldContainer[str]
    drift: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, run: _Optional[str] = ..., checks: _Optional[_Iterable[str]] = ..., drift: _Optional[_Iterable[str]] = ...) -> None: ...

class LogPredictionsRequest(_message.Message):
    __slots__ = ("model", "predictions")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    PREDICTIONS_FIELD_NUMBER: _ClassVar[int]
    model: str
    predictions: _containers.RepeatedCompositeFieldContainer[Prediction]
    def __init__(self, model: _Optional[str] = ..., predictions: _Optional[_Iterable[_Union[Prediction, _Mapping]]] = ...) -> None: ...

class Prediction(_message.Message):
    __slots__ = ("id", "read_id", "row", "service", "keys", "time", "prediction", "score")
    class KeysEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: _value_pb2.Value
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[_value_pb2.Value, _Mapping]] = ...) -> None: ...
    ID_FIELD_NUMBER: _ClassVar[int]
    READ_ID_FIELD_NUMBER: _ClassVar[int]
    ROW_FIELD_NUMBER: _ClassVar[int]
    SERVICE_FIELD_NUMBER: _ClassVar[int]
    KEYS_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    PREDICTION_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    id: str
    read_id: str
    row: int
    service: str
    keys: _containers.MessageMap[str, _value_pb2.Value]
    time: _timestamp_pb2.Timestamp
    prediction: _value_pb2.Value
    score: float
    def __init__(self, id: _Optional[str] = ..., read_id: _Optional[str] = ..., row: _Optional[int] = ..., service: _Optional[str] = ..., keys: _Optional[_Mapping[str, _value_pb2.Value]] = ..., time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., prediction: _Optional[_Union[_value_pb2.Value, _Mapping]] = ..., score: _Optional[float] = ...) -> None: ...

class LogPredictionsResponse(_message.Message):
    __slots__ = ("logged", "duplicates", "erased", "joined", "without_read")
    LOGGED_FIELD_NUMBER: _ClassVar[int]
    DUPLICATES_FIELD_NUMBER: _ClassVar[int]
    ERASED_FIELD_NUMBER: _ClassVar[int]
    JOINED_FIELD_NUMBER: _ClassVar[int]
    WITHOUT_READ_FIELD_NUMBER: _ClassVar[int]
    logged: int
    duplicates: int
    erased: int
    joined: int
    without_read: int
    def __init__(self, logged: _Optional[int] = ..., duplicates: _Optional[int] = ..., erased: _Optional[int] = ..., joined: _Optional[int] = ..., without_read: _Optional[int] = ...) -> None: ...

class ReportOutcomesRequest(_message.Message):
    __slots__ = ("model", "outcomes")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    OUTCOMES_FIELD_NUMBER: _ClassVar[int]
    model: str
    outcomes: _containers.RepeatedCompositeFieldContainer[Outcome]
    def __init__(self, model: _Optional[str] = ..., outcomes: _Optional[_Iterable[_Union[Outcome, _Mapping]]] = ...) -> None: ...

class Outcome(_message.Message):
    __slots__ = ("id", "actual", "time")
    ID_FIELD_NUMBER: _ClassVar[int]
    ACTUAL_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    id: str
    actual: _value_pb2.Value
    time: _timestamp_pb2.Timestamp
    def __init__(self, id: _Optional[str] = ..., actual: _Optional[_Union[_value_pb2.Value, _Mapping]] = ..., time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class ReportOutcomesResponse(_message.Message):
    __slots__ = ("recorded", "revised", "duplicates", "outdated", "parked", "erased")
    RECORDED_FIELD_NUMBER: _ClassVar[int]
    REVISED_FIELD_NUMBER: _ClassVar[int]
    DUPLICATES_FIELD_NUMBER: _ClassVar[int]
    OUTDATED_FIELD_NUMBER: _ClassVar[int]
    PARKED_FIELD_NUMBER: _ClassVar[int]
    ERASED_FIELD_NUMBER: _ClassVar[int]
    recorded: int
    revised: int
    duplicates: int
    outdated: int
    parked: int
    erased: int
    def __init__(self, recorded: _Optional[int] = ..., revised: _Optional[int] = ..., duplicates: _Optional[int] = ..., outdated: _Optional[int] = ..., parked: _Optional[int] = ..., erased: _Optional[int] = ...) -> None: ...
