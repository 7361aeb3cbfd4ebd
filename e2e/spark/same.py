"""Whether two exports of one store, as NDJSON and as Parquet, hold the same rows: read here by pyarrow, without Spark.

python3 e2e/spark/same.py NDJSON_DIR PARQUET_DIR
"""

import gzip
import json
import sys
from pathlib import Path

import pyarrow.parquet as parquet


def main(ndjson, other):
    files = sorted(Path(ndjson).glob("*/**/part-0.ndjson.gz"))
    there = sorted(Path(other).glob("*/**/part-0.parquet"))
    names = [file.parent.relative_to(ndjson) for file in files]
    if names != [file.parent.relative_to(other) for file in there] or not files:
        sys.exit("FAILED the exports have other tables or days")
    rows = 0
    for file, twin in zip(files, there):
        with gzip.open(file, "rt", encoding="utf-8") as lines:
            ours = [json.loads(line) for line in lines]
        # By itself: the day is in the path, not in the file.
        theirs = parquet.ParquetFile(twin).read().to_pylist()
        if theirs and "event" in theirs[0]:
            columns = [name for name in theirs[0] if name != "event"]
            if any(row[name] != json.loads(row["event"]).get(name) for row in theirs for name in columns):
                sys.exit(f"FAILED {twin}: a column differs from the event")
            theirs = [json.loads(row["event"]) for row in theirs]
        if ours != theirs:
            sys.exit(f"FAILED {twin}: rows differ from {file}")
        rows += len(ours)
    print(f"pyarrow reads the same {rows} rows in {len(files)} files of each")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
