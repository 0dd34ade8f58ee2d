"""ClickHouse in process (chdb): pairs merged as they come, and a bitmap of machines a file beside them."""

import os

import chdb
import pyarrow.csv
import pyarrow.parquet
from chdb import session

import peer

SCHEMA = """
CREATE TABLE machines (id UInt32, grp UInt32, json String) ENGINE = Join(ANY, LEFT, id);
CREATE TABLE groups (grp UInt32, machines AggregateFunction(groupBitmap, UInt32))
  ENGINE = AggregatingMergeTree ORDER BY grp;
CREATE TABLE hashes (hash String, file UInt32 CODEC(ZSTD)) ENGINE = MergeTree ORDER BY hash
  SETTINGS index_granularity = 256, fsync_after_insert = 1;
CREATE TABLE pairs (file UInt32 CODEC(Delta, ZSTD), machine UInt32 CODEC(Delta, ZSTD),
  first SimpleAggregateFunction(min, Int64) CODEC(Delta, ZSTD),
  last SimpleAggregateFunction(max, Int64) CODEC(Delta, ZSTD))
  ENGINE = AggregatingMergeTree ORDER BY (file, machine) SETTINGS index_granularity = 1024, fsync_after_insert = 1;
CREATE TABLE bitmaps (file UInt32 CODEC(Delta, ZSTD),
  machines AggregateFunction(groupBitmap, UInt32) CODEC(ZSTD),
  first SimpleAggregateFunction(min, Int64) CODEC(ZSTD), last SimpleAggregateFunction(max, Int64) CODEC(ZSTD))
  ENGINE = AggregatingMergeTree ORDER BY file SETTINGS index_granularity = 256, fsync_after_insert = 1;
"""


class Peer(peer.Peer):
    def stage(self):
        self.staged, self.kept = f"{self.folder}/staged", f"{self.folder}/kept"
        os.makedirs(self.staged)
        names = pyarrow.csv.ReadOptions(column_names=["file", "machine", "first", "last"])
        for number, chunk in enumerate(self.data.chunks):
            table = pyarrow.csv.read_csv(chunk, read_options=names)
            pyarrow.parquet.write_table(table, f"{self.staged}/{number:04}.parquet", compression="lz4")
        self.base = session.Session(self.kept)
        self.base.query("CREATE DATABASE IF NOT EXISTS pintle ENGINE = Atomic")
        self.base.query("USE pintle")

    def load(self):
        for statement in SCHEMA.split(";"):
            if statement.strip():
                self.base.query(statement)
        of = "'id UInt32, grp UInt32, json String'"
        self.base.query(f"INSERT INTO machines SELECT * FROM file('{self.data.machines}', CSV, {of})")
        self.base.query("INSERT INTO groups SELECT grp, groupBitmapState(id) FROM machines GROUP BY grp")
        of = "'id UInt32, sha1 String, sha256 String, md5 String'"
        self.base.query(
            f"INSERT INTO hashes SELECT unhex(hash), id FROM (SELECT id, arrayJoin([sha1, sha256, md5]) AS hash "
            f"FROM file('{self.data.files}', CSV, {of})) WHERE hash != ''"
        )
        for number in range(len(self.data.chunks)):
            of = "'file UInt32, machine UInt32, first Int64, last Int64'"
            chunk = f"file('{self.staged}/{number:04}.parquet', Parquet, {of})"
            self.base.query(f"INSERT INTO pairs SELECT file, machine, first, last FROM {chunk}")
            self.base.query(
                f"INSERT INTO bitmaps SELECT file, groupBitmapState(machine), min(first), max(last) "
                f"FROM {chunk} GROUP BY file"
            )

    def compact(self):
        for table in ("hashes", "pairs", "bitmaps"):
            self.base.query(f"OPTIMIZE TABLE {table} FINAL")
        # Several threads cost a small question more than they gain it.
        self.base.query("SET max_threads = 1")

    def bytes(self):
        parts = self.base.query(
            "SELECT table, sum(bytes_on_disk) FROM system.parts WHERE active AND database = 'pintle' GROUP BY table",
            "CSV",
        )
        sizes = dict(line.replace('"', "").split(",") for line in str(parts).splitlines())
        sizes = {table: int(size) for table, size in sizes.items()}
        # The engine of this table has no parts.
        sizes["machines"] = os.path.getsize(self.data.machines)
        return {"all": sum(sizes.values()), "without bitmaps": sum(sizes.values()) - sizes["bitmaps"], **sizes}

    def version(self):
        version = str(self.base.query("SELECT version()", "TabSeparatedRaw")).strip()
        return f"ClickHouse {version} (chdb {chdb.__version__})"

    def rows(self, statement):
        answer = self.base.query(statement, "TabSeparatedRaw")
        return [line.split("\t") for line in answer.bytes().decode().splitlines()]

    def one(self, hash, group, times):
        return self.asked(f"hash = unhex('{hash.hex()}')", group, times)

    def many(self, hashes, group, times):
        listed = ",".join(f"unhex('{hash.hex()}')" for hash in hashes)
        return self.asked(f"hash IN ({listed})", group, times)

    def asked(self, where, group, times):
        files = f"(SELECT file, hash FROM hashes WHERE {where})"
        if times:
            rows = self.rows(
                f"SELECT hex(hash), count(), arrayStringConcat(groupArray(joinGet('machines', 'json', machine)), ','), "
                f"arrayStringConcat(groupArray(first), ','), arrayStringConcat(groupArray(last), ',') FROM ("
                f"SELECT hash, machine, min(first) AS first, max(last) AS last FROM pairs JOIN {files} AS f USING file "
                f"WHERE file IN (SELECT file FROM {files}) GROUP BY hash, machine ORDER BY hash, machine) GROUP BY hash"
            )
        else:
            machines = "groupBitmapMergeState(machines)"
            if group is not None:
                machines = f"bitmapAnd({machines}, (SELECT groupBitmapMergeState(machines) FROM groups WHERE grp = {group}))"
            rows = self.rows(
                f"SELECT hex(hash), length(ids), arrayStringConcat(arrayMap(m -> joinGet('machines', 'json', m), ids), ',') "
                f"FROM (SELECT hash, arraySort(bitmapToArray({machines})) AS ids FROM bitmaps JOIN {files} AS f USING file "
                f"WHERE file IN (SELECT file FROM {files}) GROUP BY hash)"
            )
        return [(bytes.fromhex(hash), int(count), *rest) for hash, count, *rest in rows]

    def hashes(self, hashes):
        path = f"{self.folder}/asked.tsv"
        with open(path, "w") as file:
            file.write("\n".join(hash.hex() for hash in hashes))
        rows = self.rows(
            f"SELECT hex(hash), bitmapCardinality(groupBitmapMergeState(machines)), min(first), max(last) FROM bitmaps "
            f"JOIN (SELECT hash, file FROM hashes WHERE hash IN "
            f"(SELECT unhex(h) FROM file('{path}', TSV, 'h String'))) AS f USING file GROUP BY hash"
        )
        return [(bytes.fromhex(hash), *map(int, rest)) for hash, *rest in rows]

    def close(self):
        self.base.close()
