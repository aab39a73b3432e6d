import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from headwater.v1 import options_pb2 as _options_pb2
from headwater.v1 import value_pb2 as _value_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

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
