"""Tables and plots of what `run.py` found.

    python report.py FOUND.JSON FOLDER

prints the tables and writes the plots into the folder.
"""

import json
import math
import sys
from html import escape

NAMES = {
    "pintle": "Pintle",
    "pintle:whole": "Pintle, whole records",
    "pintle:pairs": "Pintle, pairs alone",
    "postgres:rows": "PostgreSQL, a row a pair",
    "postgres:arrays": "PostgreSQL, arrays a file",
    "sqlite": "SQLite",
    "duckdb:parquet": "DuckDB, sorted Parquet",
    "duckdb:table": "DuckDB, table",
    "clickhouse": "ClickHouse",
}
COLORS = ["#1f6f8b", "#e08e45", "#7a9e4b"]


def short(number):
    for unit, size in (("M", 1e6), ("k", 1e3)):
        if number >= size:
            return f"{number / size:.3g}{unit}"
    return f"{number:.3g}"


def ratio(value):
    return f"{value:.2f}" if value < 10 else f"{value:.0f}"


def table(head, rows):
    print("| " + " | ".join(head) + " |")
    print("| --- |" + " ---: |" * (len(head) - 1))
    for row in rows:
        print("| " + " | ".join(row) + " |")
    print()


def plot(path, title, unit, groups, rows):
    """Bars side by side on a logarithmic scale: rows are (label, values), a value for each group or None."""
    bar, gap, left, width = 13, 9, 235, 520
    values = [value for _, row in rows for value in row if value]
    low = 10 ** math.floor(math.log10(min(values)) - 0.01)
    high = 10 ** math.ceil(math.log10(max(values)) + 0.01)

    def x(value):
        return left + width * math.log10(value / low) / math.log10(high / low)

    each = len(groups) * bar + gap
    height = 62 + each * len(rows) + 34
    total = left + width + 70
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {total} {height}" width="{total}" height="{height}" '
        f'font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="#fff"/>',
        f'<text x="12" y="20" font-size="15" font-weight="bold">{escape(title)}</text>',
    ]
    at = 12
    for color, group in zip(COLORS, groups):
        if group:
            out.append(f'<rect x="{at}" y="31" width="10" height="10" fill="{color}"/>')
            out.append(f'<text x="{at + 15}" y="40">{escape(group)}</text>')
            at += 30 + 7 * len(group)
    decade = low
    while decade <= high * 1.001:
        out.append(f'<path d="M{x(decade):.1f} 52V{height - 30}" stroke="#ddd"/>')
        out.append(f'<text x="{x(decade):.1f}" y="{height - 16}" text-anchor="middle" fill="#555">{short(decade)}</text>')
        decade *= 10
    out.append(f'<text x="{left + width}" y="{height - 3}" text-anchor="end" fill="#555">{escape(unit)}, logarithmic</text>')
    for nth, (label, row) in enumerate(rows):
        top = 56 + nth * each
        weight = ' font-weight="bold"' if label.startswith("Pintle") else ""
        middle = top + len(groups) * bar / 2 + 4
        out.append(f'<text x="{left - 8}" y="{middle:.1f}" text-anchor="end"{weight}>{escape(label)}</text>')
        for place, (color, value) in enumerate(zip(COLORS, row)):
            if value:
                y = top + place * bar
                out.append(f'<rect x="{left}" y="{y}" width="{x(value) - left:.1f}" height="{bar - 2}" fill="{color}"/>')
                out.append(f'<text x="{x(value) + 4:.1f}" y="{y + 10}" font-size="10">{short(value)}</text>')
    out.append("</svg>")
    with open(path, "w") as file:
        file.write("\n".join(out) + "\n")


def lookups(question, title, found, folder):
    taken = {(name, form, files): each for name, form, files, *each in found["taken"]}
    kinds = ["one", "some", "most"]
    pintle = {kind: taken["pintle", question, kind] for kind in kinds}
    rows, bars, best = [], [], dict.fromkeys(kinds, 0)
    for name, form in dict.fromkeys((name, form) for name, form, _ in taken):
        if form.removesuffix("-many") != question:
            continue
        several = form.endswith("-many")
        label = NAMES[name] + (", many a statement" if several else "")
        cells, rates = [label], []
        for kind in kinds:
            cpu, wall = taken[name, form, kind]
            rates.append(1 / cpu)
            cells += [short(1 / cpu), f"{wall * 1e6:.0f}", ratio(cpu / pintle[kind][0])]
            if name != "pintle":
                best[kind] = max(best[kind], 1 / cpu)
        rows.append(cells)
        bars.append((label.replace("many a statement", "many"), rates))
    order = sorted(range(len(rows)), key=lambda nth: (not rows[nth][0].startswith("Pintle"), -bars[nth][1][1]))
    print(f"### {title}\n")
    head = ["", *(f"{what}" for kind in ("one machine", "3 of 100 machines", "nearly all machines")
            for what in (f"{kind}: a CPU s", "wall µs", "Pintle is"))]
    table(head, [rows[nth] for nth in order])
    print("Pintle against the best peer: " + ", ".join(ratio(1 / pintle[kind][0] / best[kind]) for kind in kinds) + "\n")
    groups = ["on one machine", "on 3 of 100 machines", "on nearly all"]
    plot(f"{folder}/{question}.svg", title, "lookups a second of processor time", groups, [bars[nth] for nth in order])


def hashes(found, folder):
    taken = {name: each for name, form, _, *each in found["taken"] if form == "hashes"}
    pintle = taken["pintle"][0]
    order = sorted(taken, key=lambda name: (name != "pintle", taken[name][0]))
    title = "100,000 mixed hashes at once, one in ten known"
    print(f"### {title}\n")
    rows = [
        [NAMES[name], short(1 / cpu), f"{wall * 1e5:.3f}", ratio(cpu / pintle)]
        for name, (cpu, wall) in ((name, taken[name]) for name in order)
    ]
    table(["", "hashes a CPU s", "wall s of all", "Pintle is"], rows)
    bars = [(NAMES[name], [1 / taken[name][0]]) for name in order]
    plot(f"{folder}/hashes.svg", title, "hashes a second of processor time", [""], bars)


def ingest(found, folder):
    pairs = found["made"]["pairs"]
    took = found["ingest"]
    order = sorted(took, key=lambda name: (not name.startswith("pintle"), took[name]["cpu"]))
    title = "Ingest of pairs with first and last seen"
    print(f"### {title}\n")
    base = took["pintle:pairs"]["cpu"]
    rows = [
        [NAMES[name], short(pairs / took[name]["cpu"]), f"{took[name]['cpu']:.1f}", f"{took[name]['wall']:.1f}",
         ratio(took[name]["cpu"] / base)]
        for name in order
    ]
    table(["", "pairs a CPU s", "CPU s", "wall s", "Pintle, pairs alone, is"], rows)
    bars = [(NAMES[name], [pairs / took[name]["cpu"]]) for name in order]
    plot(f"{folder}/ingest.svg", title, "pairs a second of processor time", [""], bars)


def bytes_on_disk(found, folder):
    pairs, rows = found["made"]["pairs"], []
    for name, sizes in found["bytes"].items():
        if name.startswith("pintle"):
            rows.append((NAMES[name] + ", no archive", sizes["without archive"]))
            rows.append((NAMES[name] + ", with it", sizes["all"]))
        else:
            rows.append((NAMES[name], sizes["all"]))
            if "without bitmaps" in sizes:
                rows.append((NAMES[name] + ", no bitmaps", sizes["without bitmaps"]))
    rows.sort(key=lambda row: (not row[0].startswith("Pintle"), row[1]))
    title = "Bytes on disk, compacted: fewer are better"
    print(f"### {title}\n")
    table(["", "MiB", "bytes a pair"], [[label, f"{size / (1 << 20):.1f}", f"{size / pairs:.1f}"] for label, size in rows])
    plot(f"{folder}/bytes.svg", title, "bytes a pair", [""], [(label, [size / pairs]) for label, size in rows])


def write(found, folder):
    made = found["made"]
    print(
        f"{made['machines']} machines, {made['files']} files, {made['pairs']} pairs of {made['records']} records, given "
        f"to the peers as {made['sightings']} in {made['chunks']} chunks; medians of {found['rounds']} rounds. "
        f"{', '.join(sorted(set(found['versions'].values())))}. {made['on']}\n"
    )
    lookups("machines", "Machines of a file, with their JSON", found, folder)
    lookups("times", "The same with first and last seen on each", found, folder)
    lookups("group", "Machines of a file, of one device group", found, folder)
    hashes(found, folder)
    ingest(found, folder)
    bytes_on_disk(found, folder)


if __name__ == "__main__":
    with open(sys.argv[1]) as file:
        write(json.load(file), sys.argv[2])
