"""Asks a running `pintle dev` everything that /openapi.json says can be asked, and much that it says
cannot, with Schemathesis: no answer may be a 5xx, none may be one that the document does not have.

    pip install -r requirements.txt
    python run.py path/to/pintle

Prints Schemathesis' own report; exits with 1 if something was found, or if there were fewer cases than
there have to be.
"""

import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import urllib.parse
import urllib.request

CASES = 20_000
# For each operation and way of choosing; one without parameters needs few of them.
EXAMPLES = int(os.environ.get("EXAMPLES", "450"))
SEED = 20_260_120
HERE = pathlib.Path(__file__).resolve().parent

# The form of administrative writes is tested by their scenarios; here they would take away the token
# that everything else is asked with. Token and sign-in endpoints shut an address out after 100 wrong
# credentials, as they should: `refused/` and the sign-in tests ask those.
LEFT_OUT = r"^(?!admin\.(?!\w+\.list$)|token|authorize|devicecode|deviceauth)"
# About equally much work.
PARTS = {"alerts": LEFT_OUT + r"(alerts|ingest)", "others": LEFT_OUT + r"(?!alerts|ingest)"}


def started(pintle, scratch):
    command = [pintle, "dev", "--fixed", "--json", "--http", "127.0.0.1:0", "--https", "127.0.0.1:0", "--events", "20000"]
    server = subprocess.Popen(
        command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, stderr=open(scratch / "log", "wb"), env=os.environ | {"TMPDIR": str(scratch)}
    )
    line = server.stdout.readline()
    if not line:
        sys.exit(f"pintle dev did not start: {(scratch / 'log').read_text()}")
    return server, json.loads(line)


def token(pintle, dev, document):
    """A token of an application that may do everything that the document names."""
    named = {
        permission["value"]
        for methods in document["paths"].values()
        for operation in methods.values()
        for permission in operation.get("x-application-permissions", [])
    }
    command = [pintle, "client", "create", "schemathesis", "--tenant", dev["tenant_id"], "--data", dev["data"], "--json"]
    command += ["--permission", ",".join(sorted(named))]
    client = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
    form = {
        "grant_type": "client_credentials",
        "client_id": client["client_id"],
        "client_secret": client["secret"],
        "scope": dev["audience"] + "/.default",
    }
    url = f"{dev['http']}/{dev['tenant_id']}/oauth2/v2.0/token"
    answer = urllib.request.urlopen(url, urllib.parse.urlencode(form).encode(), timeout=30)
    return json.load(answer)["access_token"]


def found(dev, bearer):
    """Ids of what the server knows, so that not every question is about nothing."""
    def ids(path, key):
        request = urllib.request.Request(dev["http"] + path, headers={"Authorization": "Bearer " + bearer})
        return [one[key] for one in json.load(urllib.request.urlopen(request, timeout=30))["value"] if one[key]]

    files = ids(f"/api/alerts/{dev['alert_id']}/files", "sha1")
    return dev | {"alerts": ids("/api/alerts?$top=5", "id"), "machines": ids("/api/machines?$top=5", "id"), "files": files}


def members(document):
    """The names that `$select` may give, by the name of the entity's type: those that are there unless it
    names others, and those that are there only if it names them."""
    schemas = {name: schema for name, schema in document["components"]["schemas"].items() if "x-there-unless-selected" in schema}
    there = {name: schema["x-there-unless-selected"] for name, schema in schemas.items()}
    return {name: [there[name], [one for one in schema["properties"] if one not in there[name]]] for name, schema in schemas.items()}


def begin(dev, bearer, scratch, part, of_part):
    """Schemathesis on some of the operations. What is random depends on the seed alone."""
    command = [
        str(pathlib.Path(sys.executable).with_name("schemathesis")),
        "--config-file", str(HERE / "schemathesis.toml"),
        "run", dev["http"] + "/openapi.json",
        "--checks", "all", "--mode", "all", "--seed", str(SEED),
        "--phases", "coverage,fuzzing",
        "--max-examples", str(EXAMPLES),
        "--continue-on-failure", "--max-failures", "30", "--no-shrink",
        "--include-operation-id-regex", of_part,
        "--header", "Authorization: Bearer " + bearer,
        "--report", "json", "--report-json-path", str(scratch / f"{part}.json"),
    ]
    settings = os.environ | {"SCHEMATHESIS_HOOKS": "hooks", "PYTHONPATH": str(HERE), "PINTLE_DEV": json.dumps(dev)}
    said = open(scratch / f"{part}.txt", "wb")
    return subprocess.Popen(command, cwd=scratch, env=settings, stdout=said, stderr=subprocess.STDOUT)


def run(dev, document, bearer, scratch):
    """The worst exit code and how many cases there were. Python uses one core, so it runs once for each part."""
    dev = found(dev, bearer) | {"members": members(document)}
    running = {part: begin(dev, bearer, scratch, part, of_part) for part, of_part in PARTS.items()}
    try:
        codes = [process.wait() for process in running.values()]
    finally:
        for process in running.values():
            process.kill()
    cases = 0
    for part in running:
        print((scratch / f"{part}.txt").read_text())
        report = scratch / f"{part}.json"
        cases += json.loads(report.read_text())["test_cases"]["generated"] if report.exists() else 0
    return max(codes, key=abs), cases


def main():
    # Ends what it started also when it is told to end.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    pintle = str(pathlib.Path(sys.argv[1]).resolve())
    with tempfile.TemporaryDirectory() as folder:
        scratch = pathlib.Path(folder)
        server, dev = started(pintle, scratch)
        try:
            document = json.load(urllib.request.urlopen(dev["http"] + "/openapi.json", timeout=30))
            code, cases = run(dev, document, token(pintle, dev, document), scratch)
        finally:
            server.kill()
            server.wait()
    if cases < CASES:
        print(f"FAILED  only {cases} cases of {CASES} were run: give EXAMPLES more")
        code = code or 1
    print(f"{cases} cases, exit code {code}")
    sys.exit(code)


main()
