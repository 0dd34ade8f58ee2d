"""A peer in a process of its own: takes the data in, then answers what standard input asks.

    python peer.py PEER DATA FOLDER

A line is `QUESTION FILES SECONDS`, to be asked over and over for so long, or `QUESTION FILES PATH`, to be
answered once into that file; `pintle-bench peers --answer` takes the same. What goes out is a line of JSON for
the ingest, one for what it left, then one for each question.
"""

import contextlib
import importlib
import json
import os
import sys
import time


def bytes_in(path):
    """The bytes of a file, or of all files in a folder."""
    if os.path.isfile(path):
        return os.path.getsize(path)
    return sum(os.path.getsize(os.path.join(at, name)) for at, _, names in os.walk(path) for name in names)


class Data:
    """What `pintle-bench peers` has written."""

    def __init__(self, folder):
        self.folder = folder
        with open(f"{folder}/made.json") as file:
            self.made = json.load(file)
        self.group = self.made["filtered"]
        self.machines = f"{folder}/machines.csv"
        self.files = f"{folder}/files.csv"
        self.chunks = [f"{folder}/pairs-{number:04}.csv" for number in range(self.made["chunks"])]

    def asked(self, files):
        with open(f"{self.folder}/{files}.txt") as file:
            return [bytes.fromhex(line) for line in file]


class Peer:
    """What every peer has. Answers are lists of (hash, machines, JSON of these), of (hash, machines, JSON, first
    seen, last seen) with times as texts joined by commas, of (hash, machines, first, last)."""

    # How many questions a statement has where it has several.
    MANY = {"one": 1000, "some": 1000, "most": 100}

    def __init__(self, data, folder):
        self.data, self.folder = data, folder
        self.excluded = [0, 0]

    def cpu(self):
        """Seconds of the processors so far: here of this process, Python's share included."""
        return time.process_time()

    def stage(self):
        """Brings the data into the form that this peer reads best, which is not measured."""

    @contextlib.contextmanager
    def unmeasured(self):
        """What goes on in here does not count as taking in."""
        began, cpu = time.perf_counter(), self.cpu()
        yield
        self.excluded[0] += self.cpu() - cpu
        self.excluded[1] += time.perf_counter() - began

    def close(self):
        """Ends what goes on."""

    def ask(self, question, hashes):
        question = question.removesuffix("-many")
        if question == "hashes":
            return self.hashes(hashes)
        group = self.data.group if question == "group" else None
        if len(hashes) == 1:
            return self.one(hashes[0], group, question == "times")
        return self.many(hashes, group, question == "times")

    def batches(self, question, files):
        """What goes into one statement each."""
        asked = self.data.asked(files)
        if question == "hashes":
            return [asked]
        size = self.MANY[files] if question.endswith("-many") else 1
        return [asked[start : start + size] for start in range(0, len(asked), size)]

    def measure(self, question, files, seconds):
        batches = self.batches(question, files)
        asked, began, cpu = 0, time.perf_counter(), self.cpu()
        while True:
            for batch in batches:
                self.ask(question, batch)
                asked += len(batch)
                if time.perf_counter() - began > seconds:
                    return {"asked": asked, "cpu": self.cpu() - cpu, "wall": time.perf_counter() - began}

    def write(self, question, files, path):
        answers = {}
        for batch in self.batches(question, files):
            for hash, count, *rest in self.ask(question, batch):
                if count:
                    answers[bytes(hash)] = (count, *rest)
        with open(path, "w") as out:
            for hash in self.data.asked(files):
                count, *rest = answers.get(hash, (0, ""))
                if question == "hashes":
                    if count:
                        print(hash.hex(), count, *rest, sep="\t", file=out)
                    continue
                times = [texts if isinstance(texts, list) else texts.split(",") for texts in rest[1:]]
                times = [f"{first} {last}" for first, last in zip(*times)]
                print(hash.hex(), count, rest[0], *times, sep="\t", file=out)


def main():
    name, data, folder = sys.argv[1:]
    os.makedirs(folder, exist_ok=True)
    module, _, form = name.partition(":")
    peer = importlib.import_module(f"{module}_peer").Peer(Data(data), folder, *([form] if form else []))
    try:
        peer.stage()
        began, cpu = time.perf_counter(), peer.cpu()
        peer.load()
        took = peer.cpu() - cpu - peer.excluded[0], time.perf_counter() - began - peer.excluded[1]
        say({"cpu": took[0], "wall": took[1]})
        peer.compact()
        say({"bytes": peer.bytes(), "version": peer.version()})
        for line in sys.stdin:
            question, files, how = line.split()
            try:
                seconds = float(how)
            except ValueError:
                peer.write(question, files, how)
                say({})
            else:
                say(peer.measure(question, files, seconds))
    finally:
        peer.close()


def say(what):
    print(json.dumps(what), flush=True)


if __name__ == "__main__":
    main()
