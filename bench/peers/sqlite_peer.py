"""SQLite, through Python's own module: a row a pair, clustered by file, pages mapped into memory."""

import csv
import sqlite3

import peer

SCHEMA = """
CREATE TABLE machines (id INTEGER PRIMARY KEY, grp INTEGER, json TEXT);
CREATE TABLE files (id INTEGER PRIMARY KEY, sha1 BLOB, sha256 BLOB, md5 BLOB);
CREATE TABLE pairs (file INTEGER, machine INTEGER, first INTEGER, last INTEGER, PRIMARY KEY (file, machine))
  WITHOUT ROWID;
"""
UPSERT = """
INSERT INTO pairs VALUES (?, ?, ?, ?) ON CONFLICT (file, machine)
DO UPDATE SET first = min(first, excluded.first), last = max(last, excluded.last)
"""
KINDS = {"sha1": 20, "sha256": 32, "md5": 16}


class Peer(peer.Peer):
    def stage(self):
        self.path = f"{self.folder}/pintle.db"
        self.base = sqlite3.connect(self.path, cached_statements=1000, isolation_level=None)
        self.base.executescript(
            "PRAGMA journal_mode = wal; PRAGMA synchronous = full; PRAGMA cache_size = -1000000;"
            "PRAGMA mmap_size = 20000000000; PRAGMA temp_store = memory;"
        )

    def rows(self, path, *kinds):
        """As Python has them: reading CSV is not what is measured."""
        with self.unmeasured(), open(path, newline="") as file:
            return [tuple(kind(cell) for kind, cell in zip(kinds, row)) for row in csv.reader(file)]

    def load(self):
        def hash(text):
            return bytes.fromhex(text) or None

        self.base.executescript(SCHEMA)
        self.base.execute("BEGIN")
        machines = self.rows(self.data.machines, int, int, str)
        self.base.executemany("INSERT INTO machines VALUES (?, ?, ?)", machines)
        files = self.rows(self.data.files, int, hash, hash, hash)
        self.base.executemany("INSERT INTO files VALUES (?, ?, ?, ?)", files)
        for kind in KINDS:
            self.base.execute(f"CREATE UNIQUE INDEX files_{kind} ON files ({kind}) WHERE {kind} IS NOT NULL")
        self.base.execute("COMMIT")
        for chunk in self.data.chunks:
            pairs = self.rows(chunk, int, int, int, int)
            self.base.execute("BEGIN")
            self.base.executemany(UPSERT, pairs)
            self.base.execute("COMMIT")

    def compact(self):
        self.base.executescript("VACUUM; ANALYZE; PRAGMA wal_checkpoint(TRUNCATE);")
        self.base.execute("CREATE TEMP TABLE asked (hash BLOB PRIMARY KEY) WITHOUT ROWID")

    def bytes(self):
        return {"all": peer.bytes_in(self.path)}

    def version(self):
        return f"SQLite {sqlite3.sqlite_version}"

    def one(self, hash, group, times):
        parameters = (hash,) if group is None else (hash, group)
        rows = self.base.execute(select("f.sha1 = ?", group, times), parameters).fetchall()
        return [(hash, *row) for row in rows]

    def many(self, hashes, group, times):
        self.base.execute("DELETE FROM asked")
        self.base.executemany("INSERT INTO asked VALUES (?)", [(hash,) for hash in hashes])
        parameters = () if group is None else (group,)
        return self.base.execute(select("f.sha1 = a.hash", group, times, True), parameters).fetchall()

    def hashes(self, hashes):
        self.base.execute("DELETE FROM asked")
        self.base.executemany("INSERT INTO asked VALUES (?)", [(hash,) for hash in hashes])
        each = (
            f"SELECT a.hash, count(*), min(p.first), max(p.last) FROM asked a "
            f"CROSS JOIN files f ON f.{kind} = a.hash CROSS JOIN pairs p ON p.file = f.id "
            f"WHERE length(a.hash) = {length} GROUP BY a.hash"
            for kind, length in KINDS.items()
        )
        return self.base.execute(" UNION ALL ".join(each)).fetchall()


def select(where, group, times, several=False):
    """`CROSS JOIN` keeps SQLite to the order in which they are written. Pairs come in the order of their key, so
    the machines are in order without being sorted."""
    columns = "count(*), group_concat(m.json)"
    if times:
        columns += ", group_concat(p.first), group_concat(p.last)"
    tables = "files f CROSS JOIN pairs p ON p.file = f.id CROSS JOIN machines m ON m.id = p.machine"
    only = "" if group is None else " AND m.grp = ?"
    if several:
        return f"SELECT a.hash, {columns} FROM asked a CROSS JOIN {tables} WHERE {where}{only} GROUP BY a.hash"
    return f"SELECT {columns} FROM {tables} WHERE {where}{only}"
