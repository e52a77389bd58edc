"""Makes Parquet of JSON Lines, for `scan.rs`: `scan.py ROWS.jsonl ROWS.parquet`. Needs pyarrow 22 or later."""

import sys

import pyarrow.json
import pyarrow.parquet

source, target = sys.argv[1:]
reader = pyarrow.json.open_json(source)
with pyarrow.parquet.ParquetWriter(target, reader.schema, compression="snappy") as writer:
    for batch in reader:
        writer.write_batch(batch)
