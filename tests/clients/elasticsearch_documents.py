"""Sends documents to a running `pintle dev --fixed` as Elasticsearch's own client does, with a key of an
inlet: what it asks first, bulk requests packed and not, single documents, and what it makes of refusals.

    pip install -r requirements.txt
    python elasticsearch_documents.py path/to/pintle

Prints what it checked and `N passed, N failed`; exits with 1 if anything failed.
"""

import json
import os
import subprocess
import sys

from elasticsearch import AuthenticationException, BadRequestError, Elasticsearch, helpers

from checks import Checks, by_command, expect


def row(number):
    """A row of a hunting table, with a machine and a file of its own."""
    return {
        "Timestamp": "2026-01-15T09:00:00Z",
        "DeviceId": f"{0xE5000000 + number:040x}",
        "DeviceName": f"es-{number}.corp.example",
        "ActionType": "FileCreated",
        "SHA1": f"{0xE5000000 + number:040x}",
        "ReportId": number,
    }


def documents(count):
    return [{"_index": "events", "_op_type": "create", "_source": row(number)} for number in range(count)]


def with_a_key(checks, url, inlet):
    client = Elasticsearch(f"{url}/elastic", api_key=(inlet["id"], inlet["secret"]))

    def asks():
        expect(client.ping(), "no answer to a ping")
        expect(client.info()["version"]["number"].startswith("8."), client.info())
        expect(client.license.get()["license"]["status"] == "active", "the licence is not active")
        expect(client.cluster.health()["status"] == "green", "the cluster is not green")

    def sends():
        taken, errors = helpers.bulk(client, documents(2_000), raise_on_error=False)
        expect((taken, errors) == (2_000, []), f"{taken} {errors[:3]}")

    def sends_packed_by_name():
        packing = Elasticsearch(f"{url}/elastic", basic_auth=(inlet["name"], inlet["secret"]), http_compress=True)
        taken, errors = helpers.bulk(packing, documents(100), raise_on_error=False)
        expect((taken, errors) == (100, []), f"{taken} {errors[:3]}")

    def is_told_of_the_one_that_is_no_record():
        mixed = documents(3) + [{"_index": "events", "_source": {"what": 1}}] + documents(1)
        taken, errors = helpers.bulk(client, mixed, raise_on_error=False)
        expect((taken, len(errors)) == (4, 1), f"{taken} {errors}")
        expect(errors[0]["index"]["error"]["type"] == "mapper_parsing_exception", errors)

    def sends_one():
        expect(client.index(index="events", document=row(1))["result"] == "created", "not created")
        expect(client.create(index="events", id="a/b", document=row(2))["_id"] == "a/b", "another id")

    def is_refused_one():
        try:
            client.index(index="events", document={"what": 1})
        except BadRequestError as error:
            expect(error.error == "mapper_parsing_exception", repr(error))
        else:
            raise AssertionError("a document of no known format was taken")

    checks.check("elasticsearch: what it asks is answered", asks)
    checks.check("elasticsearch: 2,000 documents in bulk", sends)
    checks.check("elasticsearch: packed, and by the inlet's name", sends_packed_by_name)
    checks.check("elasticsearch: an error names its document", is_told_of_the_one_that_is_no_record)
    checks.check("elasticsearch: one document", sends_one)
    checks.check("elasticsearch: one that is no record is a 400", is_refused_one)


def with_a_wrong_key(checks, url, inlet):
    def refused():
        try:
            Elasticsearch(f"{url}/elastic", api_key=(inlet["id"], "wrong")).info()
        except AuthenticationException:
            return
        raise AssertionError("a wrong key was taken")

    checks.check("elasticsearch: a wrong key is an AuthenticationException", refused)


def main(pintle):
    checks = Checks()
    command = [pintle, "dev", "--fixed", "--json", "--http", "127.0.0.1:0", "--https", "127.0.0.1:0"]
    settings = {name: value for name, value in os.environ.items() if not name.startswith("PINTLE_")}
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True, env=settings)
    try:
        line = server.stdout.readline()
        if not line:
            print(f"{' '.join(command)} did not start", file=sys.stderr)
            return 1
        dev = json.loads(line)
        for name in ("HTTP_PROXY", "ALL_PROXY", "http_proxy", "all_proxy"):
            os.environ.pop(name, None)
        inlet = by_command(pintle, dev, "inlet", "add", "elasticsearch", "--tenant", dev["tenant_id"])
        with_a_key(checks, dev["http"], inlet)
        with_a_wrong_key(checks, dev["http"], inlet)
    finally:
        server.terminate()
        checks.check("pintle dev ends cleanly", lambda: expect(server.wait(timeout=60) == 0, server.returncode))
    print(f"{checks.passed} passed, {checks.failed} failed")
    return 0 if checks.failed == 0 and checks.passed > 0 else 1


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: elasticsearch_documents.py path/to/pintle")
    sys.exit(main(sys.argv[1]))
