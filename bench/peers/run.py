"""Asks Pintle and its peers the same, in turn, and writes who won what.

    python run.py PINTLE_BENCH DATA

DATA is what `PINTLE_BENCH peers` has made. Each peer is a process of its own (`peer.py`), and so is Pintle. First
each answers every question once, and it fails if one answers anything else than Pintle.
"""

import filecmp
import json
import os
import statistics
import subprocess
import sys

import report
from peer import bytes_in

PEERS = ["postgres:rows", "postgres:arrays", "sqlite", "duckdb:parquet", "duckdb:table", "clickhouse"]
KINDS = ["one", "some", "most"]
QUESTIONS = [(question, kind) for question in ("machines", "times", "group") for kind in KINDS]
ROUNDS = int(os.environ.get("ROUNDS", "5"))
SECONDS = float(os.environ.get("SECONDS_EACH", "0.5"))


class System:
    """Pintle or a peer, in a process that answers line by line."""

    def __init__(self, name, command):
        self.name = name
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def hear(self):
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.name} ended with {self.process.wait()}")
        return line if line == "ready\n" else json.loads(line)

    def ask(self, question, files, how):
        print(question, files, how, file=self.process.stdin, flush=True)
        return self.hear()

    def end(self):
        self.process.stdin.close()
        self.process.wait()


def forms(system, question):
    """Each file by itself, and many in one statement; Pintle has no such call."""
    several = [] if system.name == "pintle" or question == "hashes" else [f"{question}-many"]
    return [question, *several]


def check(pintle, peers, folder):
    """Fails unless all give the same answers."""
    expected, found = f"{folder}/expected", f"{folder}/found"
    for question, files in [*QUESTIONS, ("hashes", "hashes")]:
        pintle.ask(question, files, expected)
        for peer in peers:
            for form in forms(peer, question):
                peer.ask(form, files, found)
                if not filecmp.cmp(expected, found, shallow=False):
                    raise SystemExit(f"{peer.name} answers {form} {files} otherwise than Pintle: see {folder}")
        lines = sum(1 for _ in open(expected))
        print(f"{question} {files}: all give the same {lines} answers", file=sys.stderr)
    os.remove(expected)
    os.remove(found)


def measure(systems):
    """Medians of (processor, wall) seconds an item, by system, form and files; the systems take turns."""
    taken = {}
    for turn in range(ROUNDS):
        for question, files in [*QUESTIONS, ("hashes", "hashes")]:
            for nth in range(len(systems)):
                system = systems[(nth + turn) % len(systems)]
                for form in forms(system, question):
                    took = system.ask(form, files, SECONDS)
                    each = took["cpu"] / took["asked"], took["wall"] / took["asked"]
                    taken.setdefault((system.name, form, files), []).append(each)
    return {key: [statistics.median(column) for column in zip(*each)] for key, each in taken.items()}


def main():
    program, data = sys.argv[1:]
    with open(f"{data}/made.json") as file:
        made = json.load(file)
    here, systems, ingest, size, versions = os.path.dirname(os.path.abspath(__file__)), [], {}, {}, {}
    pintle = System("pintle", [program, "peers", data, "--answer"])
    pintle.hear()
    try:
        for name in PEERS:
            folder = f"{data}/{name.replace(':', '-')}"
            peer = System(name, [sys.executable, f"{here}/peer.py", name, data, folder])
            systems.append(peer)
            ingest[name] = peer.hear()
            left = peer.hear()
            size[name], versions[name] = left["bytes"], left["version"]
            print(name, ingest[name], left, file=sys.stderr)
        check(pintle, systems, data)
        taken = measure([pintle, *systems])
    finally:
        for system in [pintle, *systems]:
            system.end()
    for store in ("whole", "pairs"):
        all, archive = bytes_in(f"{data}/{store}"), bytes_in(f"{data}/{store}/archive")
        size[f"pintle:{store}"] = {"all": all, "without archive": all - archive}
    ingest |= {"pintle:whole": made["whole"], "pintle:pairs": made["alone"]}
    taken = [[*key, *each] for key, each in taken.items()]
    found = {"made": made, "ingest": ingest, "bytes": size, "versions": versions, "taken": taken, "rounds": ROUNDS}
    with open(f"{data}/found.json", "w") as file:
        json.dump(found, file, indent=1)
    report.write(found, data)


if __name__ == "__main__":
    main()
