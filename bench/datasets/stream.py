"""Fetches a kept dataset with the Python client and the same bytes over a bare gRPC stream, in turns, and prints what each took
as JSON. The bare stream is of messages of the same size, which are counted and thrown away undecoded.

usage: HEADWATER_TOKEN=... stream.py SERVER DATASET BARE_SERVER ROUNDS
"""

import json
import statistics
import sys
import time

import grpc

import headwater

server, dataset, bare_server, rounds = sys.argv[1:]
client = headwater.Client(server)
channel = grpc.insecure_channel(bare_server, [("grpc.max_receive_message_length", 64 << 20)])
stream = channel.unary_stream("/bench.Bytes/Stream")
fetched, bare = [], []
for _ in range(int(rounds)):
    began = time.monotonic()
    received = sum(len(part) for part in stream(b""))
    bare.append(time.monotonic() - began)
    began = time.monotonic()
    table = client.fetch(dataset, progress=False).to_arrow()
    fetched.append(time.monotonic() - began)
print(
    json.dumps(
        {
            "rows": table.num_rows,
            "columns": table.num_columns,
            "bytes": received,
            "bare_s": statistics.median(bare),
            "client_s": statistics.median(fetched),
        }
    )
)
