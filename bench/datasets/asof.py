"""Joins a spine to a history with DuckDB's ASOF JOIN, and prints what it took as JSON.

The history is had from Postgres first, as Arrow over COPY in the binary format, which is the fastest that Python has. ASOF
JOIN has one inequality: it goes by event time alone, and takes values that had not arrived by then. What it is compared with
does more.

usage: asof.py POSTGRES_URL HISTORY_TABLE FEATURES SPINE.arrows OUT.arrows
"""

import json
import sys
import time

import adbc_driver_postgresql.dbapi
import duckdb
import pyarrow as pa

url, history, features, spine_file, out_file = sys.argv[1:]
features = features.split(",")

began = time.monotonic()
db = duckdb.connect()
with adbc_driver_postgresql.dbapi.connect(url) as connection, connection.cursor() as cursor:
    cursor.execute(
        f"SELECT entity_key, event_time, {', '.join(features)} FROM {history} WHERE seq_from <= 1 AND 1 < seq_to"
    )
    rows = cursor.fetch_record_batch()
    db.execute("CREATE TABLE history AS SELECT * FROM rows")
got = time.monotonic()
with pa.ipc.open_stream(spine_file) as reader:
    spine = reader.read_all()
joined = db.execute(
    f"""SELECT s.card, s.timestamp, s.label, {", ".join("h." + f for f in features)}
    FROM spine s ASOF LEFT JOIN history h ON s.card = h.entity_key AND s.timestamp >= h.event_time
    ORDER BY s.label"""
).to_arrow_table()
with pa.ipc.new_stream(out_file, joined.schema) as writer:
    writer.write_table(joined, max_chunksize=8192)
done = time.monotonic()
assert joined.num_rows == spine.num_rows, joined.num_rows
print(
    json.dumps(
        {
            "history_rows": db.execute("SELECT count(*) FROM history").fetchone()[0],
            "get_s": got - began,
            "join_s": done - got,
        }
    )
)
