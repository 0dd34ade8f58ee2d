"""DuckDB in process: sorted Parquet made anew from all chunks, or a table with the same rows and an index."""

import os

import duckdb
import pyarrow
import pyarrow.csv
import pyarrow.parquet

import peer


class Peer(peer.Peer):
    def __init__(self, data, folder, form):
        super().__init__(data, folder)
        self.form = form

    def stage(self):
        self.staged = f"{self.folder}/staged"
        os.makedirs(self.staged)
        self.kept = f"{self.folder}/kept"
        os.makedirs(self.kept)
        names = pyarrow.csv.ReadOptions(column_names=["file", "machine", "first", "last"])
        for number, chunk in enumerate(self.data.chunks):
            table = pyarrow.csv.read_csv(chunk, read_options=names)
            pyarrow.parquet.write_table(table, f"{self.staged}/{number:04}.parquet", compression="zstd")
        # One row for each hash of a file: what is looked for first.
        base = duckdb.connect()
        base.execute(
            f"COPY (SELECT unhex(hash) AS hash, id AS file FROM (SELECT id, unnest([a, b, c]) AS hash FROM "
            f"read_csv('{self.data.files}', header = false, columns = "
            f"{{'id': 'INTEGER', 'a': 'VARCHAR', 'b': 'VARCHAR', 'c': 'VARCHAR'}})) WHERE hash <> '') "
            f"TO '{self.staged}/hashes' (FORMAT parquet)"
        )
        base.close()

    def load(self):
        self.base = duckdb.connect(f"{self.kept}/pintle.duckdb")
        self.base.execute("SET threads = 2; SET memory_limit = '6GB'")
        self.base.execute(
            f"CREATE TABLE machines AS SELECT * FROM read_csv('{self.data.machines}', header = false, "
            f"columns = {{'id': 'INTEGER', 'grp': 'INTEGER', 'json': 'VARCHAR'}}, max_line_size = 10000000)"
        )
        hashes = f"SELECT hash, file FROM read_parquet('{self.staged}/hashes') ORDER BY hash"
        pairs = (
            "SELECT file::INTEGER AS file, machine::INTEGER AS machine, min(first) AS first, max(last) AS last "
            f"FROM read_parquet('{self.staged}/*.parquet') GROUP BY ALL ORDER BY file, machine"
        )
        for name, rows in [("hashes", hashes), ("pairs", pairs)]:
            if self.form == "parquet":
                # Small groups: a question reads those in which a file may be.
                kept = f"{self.kept}/{name}.parquet"
                how = "FORMAT parquet, PARQUET_VERSION v2, COMPRESSION zstd, ROW_GROUP_SIZE 8192"
                self.base.execute(f"COPY ({rows}) TO '{kept}' ({how})")
                with open(kept, "rb") as file:
                    os.fsync(file.fileno())
                self.base.execute(f"CREATE VIEW {name} AS SELECT * FROM read_parquet('{kept}')")
            else:
                self.base.execute(f"CREATE TABLE {name} AS {rows}")
        if self.form == "table":
            self.base.execute("CREATE UNIQUE INDEX by_hash ON hashes (hash)")
            self.base.execute("CREATE INDEX by_file ON pairs (file)")
        self.base.execute("CHECKPOINT")

    def compact(self):
        self.base.execute("SET parquet_metadata_cache = true")
        # Several threads cost a small question more than they gain it.
        self.base.execute("SET threads = 1")
        self.base.execute("PREPARE file AS SELECT file FROM hashes WHERE hash = $1")
        for group in (False, True):
            for times in (False, True):
                only = " AND m.grp = $2" if group else ""
                self.base.execute(
                    f"PREPARE q_{group}_{times} AS SELECT {columns(times)} "
                    f"FROM pairs p JOIN machines m ON m.id = p.machine WHERE p.file = $1{only}"
                )

    def bytes(self):
        return {"all": peer.bytes_in(self.kept)}

    def version(self):
        return f"DuckDB {duckdb.__version__}"

    def one(self, hash, group, times):
        # Two questions, each with a constant: neither Parquet nor an index is looked up by a join.
        file = self.base.execute(f"EXECUTE file(unhex('{hash.hex()}'))").fetchone()
        if file is None:
            return []
        only = "" if group is None else f", {group}"
        rows = self.base.execute(f"EXECUTE q_{group is not None}_{times}({file[0]}{only})")
        return [(hash, *row) for row in rows.fetchall()]

    def many(self, hashes, group, times):
        self.base.register("asked", pyarrow.table({"hash": pyarrow.array(hashes, pyarrow.binary())}))
        only = "" if group is None else f" AND m.grp = {group}"
        return self.base.execute(
            f"SELECT hash, {columns(times)} FROM asked JOIN hashes USING (hash) JOIN pairs p USING (file) "
            f"JOIN machines m ON m.id = p.machine{only} GROUP BY hash"
        ).fetchall()

    def hashes(self, hashes):
        self.base.register("asked", pyarrow.table({"hash": pyarrow.array(hashes, pyarrow.binary())}))
        return self.base.execute(
            "SELECT hash, count(*), min(first), max(last) FROM asked JOIN hashes USING (hash) "
            "JOIN pairs USING (file) GROUP BY hash"
        ).fetchall()


def columns(times):
    columns = "count(*), string_agg(m.json, ',' ORDER BY p.machine)"
    if times:
        columns += ", list(p.first ORDER BY p.machine), list(p.last ORDER BY p.machine)"
    return columns
