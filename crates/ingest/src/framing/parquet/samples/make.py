"""Writes the Parquet files beside it, and rows.jsonl: what their rows are as JSON.

Each file has the same rows in another way of writing. Needs pyarrow; all values are invented.
"""

import datetime
import decimal
import json
import pathlib
import sys

import pyarrow as pa
import pyarrow.parquet as pq

HERE = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else __file__).resolve()
HERE = HERE if HERE.is_dir() else HERE.parent
ROWS = 60

HASH = pa.struct([("algorithm_id", pa.int32()), ("value", pa.string())])
SCHEMA = pa.schema(
    [
        ("time", pa.int64()),
        ("small", pa.int32()),
        ("count", pa.uint32()),
        ("big", pa.uint64()),
        ("is_it", pa.bool_()),
        ("ratio", pa.float64()),
        ("half", pa.float32()),
        ("name", pa.string()),
        ("time_dt", pa.timestamp("ms", tz="UTC")),
        ("exact", pa.timestamp("us")),
        ("day", pa.date32()),
        ("cost", pa.decimal128(9, 2)),
        ("raw", pa.binary()),
        ("fixed", pa.binary(4)),
        ("device", pa.struct([("uid", pa.string()), ("os", pa.struct([("name", pa.string())]))])),
        ("tags", pa.list_(pa.string())),
        (
            "evidences",
            pa.list_(
                pa.struct(
                    [
                        ("path", pa.string()),
                        ("hashes", pa.list_(HASH)),
                        ("ports", pa.list_(pa.list_(pa.int32()))),
                    ]
                )
            ),
        ),
        ("unmapped", pa.map_(pa.string(), pa.string())),
        ("counts", pa.map_(pa.int32(), pa.list_(pa.int64()))),
        ("never", pa.string()),
    ]
)


def row(i):
    hashes = [{"algorithm_id": 3, "value": f"{i:064x}"}, {"algorithm_id": 1, "value": None}][: i % 3]
    evidence = {
        "path": None if i % 5 == 0 else f"C:\\Temp\\file-{i}.exe",
        "hashes": None if i % 7 == 0 else hashes,
        "ports": [[i], [], None, [1, None, 2]][: i % 5],
    }
    return {
        "time": 1_768_469_400_000 + i * 1_000,
        "small": -i,
        "count": 4_000_000_000 + i if i % 2 else None,
        "big": 18_000_000_000_000_000_000 + i,
        "is_it": [True, False, None][i % 3],
        "ratio": i / 8,
        "half": i / 4 if i % 4 else None,
        "name": [f'quoted "{i}"\n', "same", "", None, "Grüße"][i % 5],
        "time_dt": datetime.datetime(2026, 1, 15, 9, 30, i % 60, 250_000, datetime.timezone.utc),
        "exact": datetime.datetime(2026, 1, 15, 9, 30, i % 60, 123_456) if i % 2 else None,
        "day": datetime.date(2026, 1, 1 + i % 28),
        "cost": decimal.Decimal(i - 5) / 100,
        "raw": bytes([0xFF, i % 256]) if i % 2 else b"plain text",
        "fixed": bytes([0xC0, 0, i % 256, 1]),
        "device": None if i % 11 == 0 else {"uid": f"d{i % 3}", "os": None if i % 2 else {"name": "Linux"}},
        "tags": [None, [], ["a"], ["b", None, "c"]][i % 4],
        "evidences": None if i % 13 == 0 else [evidence] * (i % 4),
        "unmapped": [("k", "v"), ("n", None), (f"x{i}", "")][: i % 4],
        "counts": [(i, [1, 2]), (-1, None)] if i % 3 == 0 else None,
        "never": None,
    }


def as_json(value):
    """As rows are written: what is not there is left out, but in lists; and so are lists without elements."""
    if isinstance(value, dict):
        members = {name: as_json(member) for name, member in value.items()}
        return {name: member for name, member in members.items() if member is not None}
    if isinstance(value, list) and value and isinstance(value[0], tuple):
        return as_json({str(key): member for key, member in value})
    if isinstance(value, list):
        return [as_json(element) for element in value] or None
    if isinstance(value, datetime.datetime):
        text = value.replace(tzinfo=None).isoformat()
        return (text.rstrip("0").rstrip(".") if "." in text else text) + "Z"
    if isinstance(value, datetime.date):
        return value.isoformat()
    if isinstance(value, decimal.Decimal):
        return float(value)
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return value.hex()
    return value


LEAVES = ["time", "small", "count", "big", "name", "ratio", "half", "fixed", "raw"]
WAYS = {
    "plain": dict(compression="none", use_dictionary=False),
    "dictionary-snappy": dict(compression="snappy", use_dictionary=True),
    "gzip": dict(compression="gzip", use_dictionary=True, write_page_checksum=True),
    "zstd": dict(compression="zstd", use_dictionary=True),
    "lz4-v2": dict(compression="lz4", use_dictionary=True, data_page_version="2.0"),
    "distances-v2-zstd": dict(
        compression="zstd",
        use_dictionary=False,
        data_page_version="2.0",
        data_page_size=512,
        column_encoding={
            "time": "DELTA_BINARY_PACKED",
            "small": "DELTA_BINARY_PACKED",
            "count": "DELTA_BINARY_PACKED",
            "big": "DELTA_BINARY_PACKED",
            "is_it": "RLE",
            "name": "DELTA_BYTE_ARRAY",
            "raw": "DELTA_LENGTH_BYTE_ARRAY",
            "fixed": "DELTA_BYTE_ARRAY",
            "ratio": "BYTE_STREAM_SPLIT",
            "half": "BYTE_STREAM_SPLIT",
            "device.uid": "DELTA_LENGTH_BYTE_ARRAY",
        },
    ),
    "old-int96": dict(
        compression="snappy", version="1.0", use_deprecated_int96_timestamps=True, data_page_size=1024
    ),
    "old-lists": dict(compression="none", use_compliant_nested_type=False),
}

if __name__ == "__main__":
    rows = [row(i) for i in range(ROWS)]
    table = pa.Table.from_pylist(rows, SCHEMA)
    for name, way in WAYS.items():
        pq.write_table(table, HERE / f"{name}.parquet", row_group_size=25, write_statistics=False, store_schema=False, **way)
    with open(HERE / "rows.jsonl", "w") as out:
        for values in rows:
            out.write(json.dumps(as_json(values), ensure_ascii=False) + "\n")
