import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from headwater.v1 import options_pb2 as _options_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class BiasVerdict(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    BIAS_VERDICT_UNSPECIFIED: _ClassVar[BiasVerdict]
    BIAS_VERDICT_BELOW_FOUR_FIFTHS: _ClassVar[BiasVerdict]
    BIAS_VERDICT_AT_LEAST_FOUR_FIFTHS: _ClassVar[BiasVerdict]
    BIAS_VERDICT_NOT_ENOUGH_DATA: _ClassVar[BiasVerdict]

class BiasApart(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    BIAS_APART_UNSPECIFIED: _ClassVar[BiasApart]
    BIAS_APART_SMALL: _ClassVar[BiasApart]
    BIAS_APART_UNKNOWN: _ClassVar[BiasApart]
BIAS_VERDICT_UNSPECIFIED: BiasVerdict
BIAS_VERDICT_BELOW_FOUR_FIFTHS: BiasVerdict
BIAS_VERDICT_AT_LEAST_FOUR_FIFTHS: BiasVerdict
BIAS_VERDICT_NOT_ENOUGH_DATA: BiasVerdict
BIAS_APART_UNSPECIFIED: BiasApart
BIAS_APART_SMALL: BiasApart
BIAS_APART_UNKNOWN: BiasApart

class ReportBiasRequest(_message.Message):
    __slots__ = ("dataset", "question", "purpose")
    DATASET_FIELD_NUMBER: _ClassVar[int]
    QUESTION_FIELD_NUMBER: _ClassVar[int]
    PURPOSE_FIELD_NUMBER: _ClassVar[int]
    dataset: str
    question: BiasQuestion
    purpose: str
    def __init__(self, dataset: _Optional[str] = ..., question: _Optional[_Union[BiasQuestion, _Mapping]] = ..., purpose: _Optional[str] = ...) -> None: ...

class BiasQuestion(_message.Message):
    __slots__ = ("label", "favourable", "by", "intersections", "prediction", "threshold", "stratify", "references")
    class ReferencesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    LABEL_FIELD_NUMBER: _ClassVar[int]
    FAVOURABLE_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    INTERSECTIONS_FIELD_NUMBER: _ClassVar[int]
    PREDICTION_FIELD_NUMBER: _ClassVar[int]
    THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    STRATIFY_FIELD_NUMBER: _ClassVar[int]
    REFERENCES_FIELD_NUMBER: _ClassVar[int]
    label: str
    favourable: str
    by: _containers.RepeatedScalarFieldContainer[str]
    intersections: bool
    prediction: str
    threshold: float
    stratify: str
    references: _containers.ScalarMap[str, str]
    def __init__(self, label: _Optional[str] = ..., favourable: _Optional[str] = ..., by: _Optional[_Iterable[str]] = ..., intersections: bool = ..., prediction: _Optional[str] = ..., threshold: _Optional[float] = ..., stratify: _Optional[str] = ..., references: _Optional[_Mapping[str, str]] = ...) -> None: ...

class ReportBiasResponse(_message.Message):
    __slots__ = ("report",)
    REPORT_FIELD_NUMBER: _ClassVar[int]
    report: BiasReport
    def __init__(self, report: _Optional[_Union[BiasReport, _Mapping]] = ...) -> None: ...

class GetBiasReportRequest(_message.Message):
    __slots__ = ("id", "purpose")
    ID_FIELD_NUMBER: _ClassVar[int]
    PURPOSE_FIELD_NUMBER: _ClassVar[int]
    id: str
    purpose: str
    def __init__(self, id: _Optional[str] = ..., purpose: _Optional[str] = ...) -> None: ...

class GetBiasReportResponse(_message.Message):
    __slots__ = ("report",)
    REPORT_FIELD_NUMBER: _ClassVar[int]
    report: BiasReport
    def __init__(self, report: _Optional[_Union[BiasReport, _Mapping]] = ...) -> None: ...

class ListBiasReportsRequest(_message.Message):
    __slots__ = ("dataset", "page_size", "page_token")
    DATASET_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    dataset: str
    page_size: int
    page_token: str
    def __init__(self, dataset: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListBiasReportsResponse(_message.Message):
    __slots__ = ("reports", "next_page_token")
    REPORTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    reports: _containers.RepeatedCompositeFieldContainer[BiasReport]
    next_page_token: str
    def __init__(self, reports: _Optional[_Iterable[_Union[BiasReport, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class BiasReport(_message.Message):
    __slots__ = ("id", "dataset", "dataset_ref", "content_digest", "principal", "created_at", "question", "erased_at", "findings", "columns_withheld")
    ID_FIELD_NUMBER: _ClassVar[int]
    DATASET_FIELD_NUMBER: _ClassVar[int]
    DATASET_REF_FIELD_NUMBER: _ClassVar[int]
    CONTENT_DIGEST_FIELD_NUMBER: _ClassVar[int]
    PRINCIPAL_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    QUESTION_FIELD_NUMBER: _ClassVar[int]
    ERASED_AT_FIELD_NUMBER: _ClassVar[int]
    FINDINGS_FIELD_NUMBER: _ClassVar[int]
    COLUMNS_WITHHELD_FIELD_NUMBER: _ClassVar[int]
    id: str
    dataset: str
    dataset_ref: str
    content_digest: str
    principal: str
    created_at: _timestamp_pb2.Timestamp
    question: BiasQuestion
    erased_at: _timestamp_pb2.Timestamp
    findings: BiasFindings
    columns_withheld: bool
    def __init__(self, id: _Optional[str] = ..., dataset: _Optional[str] = ..., dataset_ref: _Optional[str] = ..., content_digest: _Optional[str] = ..., principal: _Optional[str] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., question: _Optional[_Union[BiasQuestion, _Mapping]] = ..., erased_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., findings: _Optional[_Union[BiasFindings, _Mapping]] = ..., columns_withheld: bool = ...) -> None: ...

class BiasFindings(_message.Message):
    __slots__ = ("rows", "left_out", "set_aside", "set_aside_withheld", "spine_set_aside", "correction", "groupings", "proxies")
    ROWS_FIELD_NUMBER: _ClassVar[int]
    LEFT_OUT_FIELD_NUMBER: _ClassVar[int]
    SET_ASIDE_FIELD_NUMBER: _ClassVar[int]
    SET_ASIDE_WITHHELD_FIELD_NUMBER: _ClassVar[int]
    SPINE_SET_ASIDE_FIELD_NUMBER: _ClassVar[int]
    CORRECTION_FIELD_NUMBER: _ClassVar[int]
    GROUPINGS_FIELD_NUMBER: _ClassVar[int]
    PROXIES_FIELD_NUMBER: _ClassVar[int]
    rows: int
    left_out: int
    set_aside: int
    set_aside_withheld: bool
    spine_set_aside: int
    correction: str
    groupings: _containers.RepeatedCompositeFieldContainer[BiasGrouping]
    proxies: _containers.RepeatedCompositeFieldContainer[BiasProxy]
    def __init__(self, rows: _Optional[int] = ..., left_out: _Optional[int] = ..., set_aside: _Optional[int] = ..., set_aside_withheld: bool = ..., spine_set_aside: _Optional[int] = ..., correction: _Optional[str] = ..., groupings: _Optional[_Iterable[_Union[BiasGrouping, _Mapping]]] = ..., proxies: _Optional[_Iterable[_Union[BiasProxy, _Mapping]]] = ...) -> None: ...

class BiasGrouping(_message.Message):
    __slots__ = ("by", "groups", "label", "prediction", "missing")
    BY_FIELD_NUMBER: _ClassVar[int]
    GROUPS_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    PREDICTION_FIELD_NUMBER: _ClassVar[int]
    MISSING_FIELD_NUMBER: _ClassVar[int]
    by: _containers.RepeatedScalarFieldContainer[str]
    groups: _containers.RepeatedCompositeFieldContainer[BiasGroup]
    label: BiasSummary
    prediction: BiasSummary
    missing: _containers.RepeatedCompositeFieldContainer[BiasMissing]
    def __init__(self, by: _Optional[_Iterable[str]] = ..., groups: _Optional[_Iterable[_Union[BiasGroup, _Mapping]]] = ..., label: _Optional[_Union[BiasSummary, _Mapping]] = ..., prediction: _Optional[_Union[BiasSummary, _Mapping]] = ..., missing: _Optional[_Iterable[_Union[BiasMissing, _Mapping]]] = ...) -> None: ...

class BiasGroup(_message.Message):
    __slots__ = ("values", "rows", "share", "apart", "label", "prediction", "errors", "left_out", "set_aside")
    VALUES_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    SHARE_FIELD_NUMBER: _ClassVar[int]
    APART_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    PREDICTION_FIELD_NUMBER: _ClassVar[int]
    ERRORS_FIELD_NUMBER: _ClassVar[int]
    LEFT_OUT_FIELD_NUMBER: _ClassVar[int]
    SET_ASIDE_FIELD_NUMBER: _ClassVar[int]
    values: _containers.RepeatedCompositeFieldContainer[BiasValue]
    rows: int
    share: float
    apart: BiasApart
    label: BiasRate
    prediction: BiasRate
    errors: BiasErrors
    left_out: int
    set_aside: int
    def __init__(self, values: _Optional[_Iterable[_Union[BiasValue, _Mapping]]] = ..., rows: _Optional[int] = ..., share: _Optional[float] = ..., apart: _Optional[_Union[BiasApart, str]] = ..., label: _Optional[_Union[BiasRate, _Mapping]] = ..., prediction: _Optional[_Union[BiasRate, _Mapping]] = ..., errors: _Optional[_Union[BiasErrors, _Mapping]] = ..., left_out: _Optional[int] = ..., set_aside: _Optional[int] = ...) -> None: ...

class BiasValue(_message.Message):
    __slots__ = ("text", "other")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    OTHER_FIELD_NUMBER: _ClassVar[int]
    text: str
    other: bool
    def __init__(self, text: _Optional[str] = ..., other: bool = ...) -> None: ...

class BiasRate(_message.Message):
    __slots__ = ("known", "favourable", "missing", "rate", "reference", "impact_ratio", "parity_difference", "test", "p", "p_adjusted", "stratified")
    KNOWN_FIELD_NUMBER: _ClassVar[int]
    FAVOURABLE_FIELD_NUMBER: _ClassVar[int]
    MISSING_FIELD_NUMBER: _ClassVar[int]
    RATE_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    IMPACT_RATIO_FIELD_NUMBER: _ClassVar[int]
    PARITY_DIFFERENCE_FIELD_NUMBER: _ClassVar[int]
    TEST_FIELD_NUMBER: _ClassVar[int]
    P_FIELD_NUMBER: _ClassVar[int]
    P_ADJUSTED_FIELD_NUMBER: _ClassVar[int]
    STRATIFIED_FIELD_NUMBER: _ClassVar[int]
    known: int
    favourable: int
    missing: int
    rate: float
    reference: bool
    impact_ratio: float
    parity_difference: float
    test: str
    p: float
    p_adjusted: float
    stratified: BiasStratified
    def __init__(self, known: _Optional[int] = ..., favourable: _Optional[int] = ..., missing: _Optional[int] = ..., rate: _Optional[float] = ..., reference: bool = ..., impact_ratio: _Optional[float] = ..., parity_difference: _Optional[float] = ..., test: _Optional[str] = ..., p: _Optional[float] = ..., p_adjusted: _Optional[float] = ..., stratified: _Optional[_Union[BiasStratified, _Mapping]] = ...) -> None: ...

class BiasStratified(_message.Message):
    __slots__ = ("strata", "statistic", "p", "p_adjusted", "odds_ratio", "odds_ratio_low", "odds_ratio_high")
    STRATA_FIELD_NUMBER: _ClassVar[int]
    STATISTIC_FIELD_NUMBER: _ClassVar[int]
    P_FIELD_NUMBER: _ClassVar[int]
    P_ADJUSTED_FIELD_NUMBER: _ClassVar[int]
    ODDS_RATIO_FIELD_NUMBER: _ClassVar[int]
    ODDS_RATIO_LOW_FIELD_NUMBER: _ClassVar[int]
    ODDS_RATIO_HIGH_FIELD_NUMBER: _ClassVar[int]
    strata: int
    statistic: float
    p: float
    p_adjusted: float
    odds_ratio: float
    odds_ratio_low: float
    odds_ratio_high: float
    def __init__(self, strata: _Optional[int] = ..., statistic: _Optional[float] = ..., p: _Optional[float] = ..., p_adjusted: _Optional[float] = ..., odds_ratio: _Optional[float] = ..., odds_ratio_low: _Optional[float] = ..., odds_ratio_high: _Optional[float] = ...) -> None: ...

class BiasErrors(_message.Message):
    __slots__ = ("true_positive", "false_positive", "false_negative", "true_negative", "true_positive_rate", "false_positive_rate", "equal_opportunity_difference", "equalized_odds_difference", "auc", "auc_off")
    TRUE_POSITIVE_FIELD_NUMBER: _ClassVar[int]
    FALSE_POSITIVE_FIELD_NUMBER: _ClassVar[int]
    FALSE_NEGATIVE_FIELD_NUMBER: _ClassVar[int]
    TRUE_NEGATIVE_FIELD_NUMBER: _ClassVar[int]
    TRUE_POSITIVE_RATE_FIELD_NUMBER: _ClassVar[int]
    FALSE_POSITIVE_RATE_FIELD_NUMBER: _ClassVar[int]
    EQUAL_OPPORTUNITY_DIFFERENCE_FIELD_NUMBER: _ClassVar[int]
    EQUALIZED_ODDS_DIFFERENCE_FIELD_NUMBER: _ClassVar[int]
    AUC_FIELD_NUMBER: _ClassVar[int]
    AUC_OFF_FIELD_NUMBER: _ClassVar[int]
    true_positive: int
    false_positive: int
    false_negative: int
    true_negative: int
    true_positive_rate: float
    false_positive_rate: float
    equal_opportunity_difference: float
    equalized_odds_difference: float
    auc: float
    auc_off: float
    def __init__(self, true_positive: _Optional[int] = ..., false_positive: _Optional[int] = ..., false_negative: _Optional[int] = ..., true_negative: _Optional[int] = ..., true_positive_rate: _Optional[float] = ..., false_positive_rate: _Optional[float] = ..., equal_opportunity_difference: _Optional[float] = ..., equalized_odds_difference: _Optional[float] = ..., auc: _Optional[float] = ..., auc_off: _Optional[float] = ...) -> None: ...

class BiasSummary(_message.Message):
    __slots__ = ("verdict", "reason", "least_ratio", "parity_difference", "significant", "equal_opportunity_difference", "equalized_odds_difference")
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    LEAST_RATIO_FIELD_NUMBER: _ClassVar[int]
    PARITY_DIFFERENCE_FIELD_NUMBER: _ClassVar[int]
    SIGNIFICANT_FIELD_NUMBER: _ClassVar[int]
    EQUAL_OPPORTUNITY_DIFFERENCE_FIELD_NUMBER: _ClassVar[int]
    EQUALIZED_ODDS_DIFFERENCE_FIELD_NUMBER: _ClassVar[int]
    verdict: BiasVerdict
    reason: str
    least_ratio: float
    parity_difference: float
    significant: bool
    equal_opportunity_difference: float
    equalized_odds_difference: float
    def __init__(self, verdict: _Optional[_Union[BiasVerdict, str]] = ..., reason: _Optional[str] = ..., least_ratio: _Optional[float] = ..., parity_difference: _Optional[float] = ..., significant: bool = ..., equal_opportunity_difference: _Optional[float] = ..., equalized_odds_difference: _Optional[float] = ...) -> None: ...

class BiasMissing(_message.Message):
    __slots__ = ("column", "rows")
    COLUMN_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    column: str
    rows: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, column: _Optional[str] = ..., rows: _Optional[_Iterable[int]] = ...) -> None: ...

class BiasProxy(_message.Message):
    __slots__ = ("attribute", "column", "cramers_v", "cramers_v_corrected", "mutual_information_nats", "mutual_information_share", "auc", "group", "exact", "auc_off")
    ATTRIBUTE_FIELD_NUMBER: _ClassVar[int]
    COLUMN_FIELD_NUMBER: _ClassVar[int]
    CRAMERS_V_FIELD_NUMBER: _ClassVar[int]
    CRAMERS_V_CORRECTED_FIELD_NUMBER: _ClassVar[int]
    MUTUAL_INFORMATION_NATS_FIELD_NUMBER: _ClassVar[int]
    MUTUAL_INFORMATION_SHARE_FIELD_NUMBER: _ClassVar[int]
    AUC_FIELD_NUMBER: _ClassVar[int]
    GROUP_FIELD_NUMBER: _ClassVar[int]
    EXACT_FIELD_NUMBER: _ClassVar[int]
    AUC_OFF_FIELD_NUMBER: _ClassVar[int]
    attribute: str
    column: str
    cramers_v: float
    cramers_v_corrected: float
    mutual_information_nats: float
    mutual_information_share: float
    auc: float
    group: BiasValue
    exact: bool
    auc_off: float
    def __init__(self, attribute: _Optional[str] = ..., column: _Optional[str] = ..., cramers_v: _Optional[float] = ..., cramers_v_corrected: _Optional[float] = ..., mutual_information_nats: _Optional[float] = ..., mutual_information_share: _Optional[float] = ..., auc: _Optional[float] = ..., group: _Optional[_Union[BiasValue, _Mapping]] = ..., exact: bool = ..., auc_off: _Optional[float] = ...) -> None: ...
