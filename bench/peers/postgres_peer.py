"""PostgreSQL over a socket of its own: a row a pair, or a row a file with arrays. The processors' time is that of
all its processes, without the client's."""

import contextlib
import glob
import os
import shutil
import signal
import subprocess
import time

import psycopg

import peer

KINDS = {"sha1": 20, "sha256": 32, "md5": 16}
SETTINGS = {
    "listen_addresses": "",
    "shared_buffers": "2GB",
    "work_mem": "256MB",
    "maintenance_work_mem": "512MB",
    "max_wal_size": "2GB",
    # Nothing is replicated, so what is made in one go needs no log.
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "checkpoint_timeout": "30min",
    "wal_compression": "lz4",
    "default_toast_compression": "lz4",
    "random_page_cost": "1.1",
    # A small question takes longer to compile than to answer.
    "jit": "off",
}
COMMON = """
CREATE TABLE machines (id int PRIMARY KEY, grp int NOT NULL, json text NOT NULL);
CREATE TABLE files_in (id int, sha1 text, sha256 text, md5 text);
"""
ROWS = """
CREATE TABLE files (id int PRIMARY KEY, sha1 bytea, sha256 bytea, md5 bytea);
CREATE TABLE pairs (file int, machine int, first bigint NOT NULL, last bigint NOT NULL, PRIMARY KEY (file, machine));
CREATE UNLOGGED TABLE pairs_in (file int, machine int, first bigint, last bigint);
"""
UPSERT = """
INSERT INTO pairs SELECT * FROM pairs_in ON CONFLICT (file, machine)
DO UPDATE SET first = least(pairs.first, excluded.first), last = greatest(pairs.last, excluded.last)
WHERE excluded.first < pairs.first OR excluded.last > pairs.last
"""
ARRAYS = """
CREATE TABLE files AS
SELECT id, decode(sha1, 'hex') AS sha1, decode(sha256, 'hex') AS sha256, decode(md5, 'hex') AS md5,
  count, first, last, machines, firsts, lasts
FROM files_in JOIN (
  SELECT file, count(*)::int, min(first) AS first, max(last) AS last, array_agg(machine) AS machines,
    array_agg(first) AS firsts, array_agg(last) AS lasts
  FROM (SELECT file, machine, min(first) AS first, max(last) AS last FROM pairs_in GROUP BY file, machine
    ORDER BY file, machine) AS pairs
  GROUP BY file) AS grouped ON file = id
"""


class Peer(peer.Peer):
    def __init__(self, data, folder, form):
        super().__init__(data, folder)
        self.form, self.server = form, None
        self.ticks = os.sysconf("SC_CLK_TCK")

    def stage(self):
        found = sorted(glob.glob("/usr/lib/postgresql/*/bin/postgres"))
        postgres = found[-1] if found else shutil.which("postgres")
        programs = os.path.dirname(os.path.realpath(postgres))
        self.kept, who = f"{self.folder}/kept", []
        os.makedirs(self.kept)
        if os.getuid() == 0:
            # It does not run as root.
            os.chmod(self.kept, 0o700)
            shutil.chown(self.kept, "nobody", "nogroup")
            who = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
        initialise = [f"{programs}/initdb", "-D", self.kept, "-U", "pintle", "-A", "trust", "-E", "UTF8", "--locale=C"]
        subprocess.run([*who, *initialise], check=True, stdout=subprocess.DEVNULL, cwd="/")
        settings = [word for name, value in SETTINGS.items() for word in ("-c", f"{name}={value}")]
        command = [*who, f"{programs}/postgres", "-D", self.kept, "-k", self.kept, *settings]
        with open(f"{self.folder}/log", "w") as log:
            self.server = subprocess.Popen(command, stdout=log, stderr=log, cwd="/")
        for _ in range(300):
            with contextlib.suppress(psycopg.OperationalError):
                self.base = psycopg.connect(host=self.kept, user="pintle", dbname="postgres", autocommit=True)
                break
            time.sleep(0.1)

    def cpu(self):
        """Of the server, those of its processes that are alive and those that have ended."""

        def fields(process):
            with open(f"/proc/{process}/stat") as file:
                return [int(field) for field in file.read().rpartition(")")[2].split()[11:15]]

        ticks = sum(fields(self.server.pid))
        with open(f"/proc/{self.server.pid}/task/{self.server.pid}/children") as file:
            for child in file.read().split():
                with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                    ticks += sum(fields(child)[:2])
        return ticks / self.ticks

    def copy(self, path, table):
        with self.base.cursor() as cursor, cursor.copy(f"COPY {table} FROM STDIN (FORMAT csv)") as copy:
            with open(path, "rb") as file:
                while data := file.read(1 << 20):
                    copy.write(data)

    def load(self):
        self.base.execute(COMMON + ROWS.replace("CREATE TABLE files", "CREATE TABLE unused"))
        self.copy(self.data.machines, "machines")
        self.copy(self.data.files, "files_in")
        if self.form == "rows":
            self.base.execute(
                "CREATE TABLE files AS SELECT id, decode(sha1, 'hex') AS sha1, decode(sha256, 'hex') AS sha256, "
                "decode(md5, 'hex') AS md5 FROM files_in"
            )
            for chunk in self.data.chunks:
                self.base.execute("TRUNCATE pairs_in")
                self.copy(chunk, "pairs_in")
                self.base.execute(UPSERT)
        else:
            for chunk in self.data.chunks:
                self.copy(chunk, "pairs_in")
            self.base.execute(ARRAYS)
        self.base.execute("ALTER TABLE files ADD PRIMARY KEY (id)")
        for kind in KINDS:
            self.base.execute(f"CREATE UNIQUE INDEX ON files ({kind}) WHERE {kind} IS NOT NULL")

    def compact(self):
        self.base.execute("DROP TABLE pairs_in, files_in, unused")
        if self.form == "rows":
            self.base.execute("CLUSTER pairs USING pairs_pkey")
        else:
            self.base.execute("DROP TABLE pairs")
        self.base.execute("VACUUM (FULL, ANALYZE)")
        self.base.execute("VACUUM (ANALYZE)")
        self.base.execute("CHECKPOINT")
        tables = ["files", "pairs"][: 2 if self.form == "rows" else 1]
        self.base.execute("CREATE EXTENSION IF NOT EXISTS pg_prewarm")
        for table in tables:
            self.base.execute("SELECT pg_prewarm(indexrelid) FROM pg_index WHERE indrelid = %s::regclass", [table])
            self.base.execute("SELECT pg_prewarm(%s::regclass)", [table])

    def bytes(self):
        rows = self.base.execute(
            "SELECT relname, pg_total_relation_size(oid) FROM pg_class WHERE relname IN ('files', 'pairs', 'machines')"
        )
        sizes = {name: int(size) for name, size in rows}
        return {"all": sum(sizes.values()), **sizes}

    def version(self):
        return f"PostgreSQL {self.base.execute('SHOW server_version').fetchone()[0].split()[0]}"

    def select(self, group, times, several):
        """One row a file. Pairs are put in order before they are joined, so that the texts need no sort of
        their own."""
        columns = "count(*), string_agg(json, ',')"
        if times:
            columns += ", array_agg(first), array_agg(last)"
        if self.form == "rows":
            source, more = "files f JOIN pairs p ON p.file = f.id", "p.machine, p.first, p.last"
        else:
            source, more = "files f, unnest(f.machines) AS p (machine)", "p.machine"
            if times:
                source = "files f, unnest(f.machines, f.firsts, f.lasts) AS p (machine, first, last)"
                more = "p.machine, p.first, p.last"
        only = "" if group is None else " AND m.grp = %(group)s"
        where = "f.sha1 = ANY(%(asked)s)" if several else "f.sha1 = %(asked)s"
        return (
            f"SELECT sha1, {columns} FROM (SELECT f.sha1, m.json, {more} FROM {source} "
            f"JOIN machines m ON m.id = p.machine{only} WHERE {where} ORDER BY f.sha1, p.machine) AS o GROUP BY sha1"
        )

    def one(self, hash, group, times):
        parameters = {"asked": hash, "group": group}
        return self.base.execute(self.select(group, times, False), parameters, prepare=True, binary=True).fetchall()

    def many(self, hashes, group, times):
        parameters = {"asked": hashes, "group": group}
        return self.base.execute(self.select(group, times, True), parameters, prepare=True, binary=True).fetchall()

    def hashes(self, hashes):
        each = []
        for kind in KINDS:
            if self.form == "rows":
                each.append(
                    f"SELECT f.{kind}, count(*), min(p.first), max(p.last) FROM files f "
                    f"JOIN pairs p ON p.file = f.id WHERE f.{kind} = ANY(%({kind})s) GROUP BY f.{kind}"
                )
            else:
                each.append(f"SELECT {kind}, count, first, last FROM files WHERE {kind} = ANY(%({kind})s)")
        parameters = {kind: [hash for hash in hashes if len(hash) == length] for kind, length in KINDS.items()}
        return self.base.execute(" UNION ALL ".join(each), parameters, prepare=True, binary=True).fetchall()

    def close(self):
        if self.server:
            with contextlib.suppress(AttributeError):
                self.base.close()
            self.server.send_signal(signal.SIGINT)
            self.server.wait()
