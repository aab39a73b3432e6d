"""Arrow tables as data frames, without losing anything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import pyarrow as pa

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

DtypeBackend = Literal["numpy_nullable", "pyarrow"]


def to_pandas(table: pa.Table, dtype_backend: DtypeBackend | None) -> pd.DataFrame:
    """A table as a frame of pandas; see `Dataset.to_pandas`."""
    try:
        import pandas as pd
    except ImportError as error:
        raise ImportError("pandas is not installed: pip install 'headwater[pandas]'") from error
    frame: pd.DataFrame
    if dtype_backend == "pyarrow":
        frame = table.to_pandas(types_mapper=pd.ArrowDtype)
        return frame
    nullable: dict[pa.DataType, Any] = {pa.int64(): pd.Int64Dtype(), pa.bool_(): pd.BooleanDtype()}
    if dtype_backend == "numpy_nullable":
        nullable |= {pa.float64(): pd.Float64Dtype(), pa.string(): pd.StringDtype()}
        frame = table.to_pandas(types_mapper=nullable.get)
        return frame
    # A missing integer or bool among NumPy's would make the others floats or objects.
    exceptions = [i for i, c in enumerate(table.columns) if c.null_count and c.type in nullable]
    if len(exceptions) == table.num_columns:
        frame = table.to_pandas(types_mapper=nullable.get)
        return frame
    frame = table.select([i for i in range(table.num_columns) if i not in exceptions]).to_pandas()
    for i in exceptions:
        frame.insert(i, table.field(i).name, table.column(i).to_pandas(types_mapper=nullable.get).array)
    return frame


def to_polars(table: pa.Table) -> pl.DataFrame:
    """A table as a frame of polars."""
    try:
        import polars as pl
    except ImportError as error:
        raise ImportError("polars is not installed: pip install 'headwater[polars]'") from error
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    return frame
