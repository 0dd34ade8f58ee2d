"""Fetches from an S3 store with `pintle`, and counts what came. Called by tests/pull.sh."""

import json
import logging
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

import boto3
from azure.storage.blob import BlobServiceClient
from moto.server import ThreadedMotoServer

PINTLE = os.path.realpath(sys.argv[1])
KEY, SECRET = "AKIAEXAMPLE", "a-secret-of-the-store"
PREFIX = "insights-logs-advancedhunting-devicefileevents"
HOUR = "tenantId=00000000-0000-4000-8000-000000000001/y=2026/m=01/d=15/h=%02d/m=00/PT1H.json"


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def record(n):
    """A record of Defender's streaming export: a machine and a file of that number."""
    return (
        json.dumps(
            {
                "time": "2026-01-15T09:31:07.4410000Z",
                "tenantId": "00000000-0000-4000-8000-000000000001",
                "operationName": "Publish",
                "category": "AdvancedHunting-DeviceFileEvents",
                "properties": {
                    "Timestamp": "2026-01-15T09:29:12.50713Z",
                    "DeviceId": "%040x" % (n % 10 + 1),
                    "DeviceName": "ws-%d.example.org" % (n % 10 + 1),
                    "ReportId": n,
                    "ActionType": "FileCreated",
                    "FileName": "a.exe",
                    "SHA1": "%040x" % (n + 1),
                },
            }
        )
        + "\r\n"
    )


def records(numbers):
    return "".join(record(n) for n in numbers).encode()


class Site:
    """A bucket, and a Pintle that fetches from it."""

    def __init__(self, top, port, bucket, interval):
        self.port, self.bucket = port, bucket
        self.store().create_bucket(Bucket=bucket)
        self.data = os.path.join(top, "data-" + bucket)
        self.credentials = os.path.join(top, "credentials-" + bucket)
        self.settings = os.path.join(top, bucket + ".toml")
        self.write_credentials(SECRET)
        with open(self.settings, "w") as file:
            file.write(
                f"""
[data]
folder = "{self.data}"
[server]
listen = "127.0.0.1:0"
health_listen = "127.0.0.1:0"
public_url = "http://localhost"
[pull.export]
url = "s3://{bucket}/insights-logs-advancedhunting-{{table}}"
endpoint = "http://127.0.0.1:{port}"
region = "us-east-1"
credentials_file = "{self.credentials}"
format = "mde-streaming"
interval = "{interval}"
"""
            )

    def write_credentials(self, secret):
        with open(self.credentials, "w") as file:
            file.write(f"AWS_ACCESS_KEY_ID={KEY}\nAWS_SECRET_ACCESS_KEY={secret}\n")

    def store(self):
        return boto3.client(
            "s3",
            endpoint_url=f"http://127.0.0.1:{self.port}",
            aws_access_key_id=KEY,
            aws_secret_access_key=SECRET,
            region_name="us-east-1",
        )

    def put(self, name, body):
        self.store().put_object(Bucket=self.bucket, Key=f"{PREFIX}/{name}", Body=body)

    def run(self, *arguments, code=0):
        ran = subprocess.run(
            [PINTLE, *arguments, "--config", self.settings], capture_output=True, text=True, timeout=120
        )
        assert SECRET not in ran.stdout + ran.stderr, "the secret is shown"
        assert code is None or ran.returncode == code, (arguments, ran.returncode, ran.stdout, ran.stderr)
        return ran

    def pull(self, code=0):
        ran = self.run("pull", "export", "--json", code=code)
        return json.loads(ran.stdout) if code == 0 else ran.stderr

    def serve(self):
        log = open(os.path.join(self.data + ".log"), "a")
        return subprocess.Popen([PINTLE, "serve", "--config", self.settings], stdout=log, stderr=log)

    def has(self, n):
        if not os.path.exists(os.path.join(self.data, "pintle.sock")):
            return False
        return self.run("search", "%040x" % (n + 1), code=None).returncode == 0

    def wait_for(self, n):
        began = time.monotonic()
        while not self.has(n):
            assert time.monotonic() - began < 120, f"record {n} does not come"
            time.sleep(0.2)

    def batches(self):
        return json.loads(self.run("batches", "--json").stdout)


def once(top, port):
    """By hand: what is new, and no more; a list of several answers; a prefix is no other's beginning."""
    site = Site(top, port, "once", "1h")
    came = site.pull()
    assert came == {"listed": 0, "taken": 0, "bytes": 0, "records": 0, "failed": 0, "troubles": []}, came
    for n in range(1_100):
        site.put("many/%04d.json" % n, records([n]))
    site.store().put_object(Bucket=site.bucket, Key=f"{PREFIX}-not/a.json", Body=records([9_999]))
    came = site.pull()
    assert (came["listed"], came["taken"], came["records"]) == (1_100, 1_100, 1_100), came
    assert site.pull()["taken"] == 0
    body = records(range(2_000, 2_003))
    site.put(HOUR % 9, body + records([2_003])[:50])
    assert site.pull()["records"] == 3
    site.put(HOUR % 9, body + records(range(2_003, 2_005)))
    came = site.pull()
    assert (came["taken"], came["records"]) == (1, 2), came
    assert came["bytes"] == len(records(range(2_003, 2_005))), came
    # Its other content is longer than what was taken.
    site.put(HOUR % 9, records(range(3_000, 3_010)))
    assert site.pull()["records"] == 10
    site.run("search", "%040x" % 3_010)
    assert site.run("search", "%040x" % 10_000, code=None).returncode == 1


def growing(top, port):
    """An object grows while a server fetches it, which is killed several times meanwhile."""
    site = Site(top, port, "growing", "200ms")
    most, body = 3_000, b""
    site.put(HOUR % 9, records([0]))
    server = site.serve()
    site.wait_for(0)
    done = threading.Event()

    def grow():
        nonlocal body
        for n in range(most):
            body += record(n).encode()
            # In the middle of a line, mostly.
            if n % 100 == 99:
                site.put(HOUR % 9, body[: len(body) - n % 200] if n + 1 < most else body)
                time.sleep(0.1)
        done.set()

    thread = threading.Thread(target=grow)
    thread.start()
    kills = 0
    while not done.is_set() or kills == 0:
        time.sleep(1.5)
        server.send_signal(signal.SIGKILL)
        server.wait()
        kills += 1
        os.unlink(os.path.join(site.data, "pintle.sock"))
        server = site.serve()
        site.wait_for(0)
    thread.join()
    site.wait_for(most - 1)
    server.terminate()
    assert server.wait(60) == 0
    for n in range(0, most, 97):
        site.run("search", "%040x" % (n + 1))
    batches = site.batches()
    assert {batch["source"] for batch in batches} == {"export"}, batches
    taken = sum(batch["records"] for batch in batches)
    assert most <= taken, (taken, most)
    rejects = json.loads(site.run("rejects", "--json").stdout)
    assert rejects == [], rejects[:3]
    print(f"  {most} records of one growing object came as {taken} over {kills} kills")


def away(top):
    """The store is away, comes back; the credentials are missing, then there."""
    port = free_port()
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
    server.start()
    site = Site(top, port, "away", "200ms")
    site.put("a.json", records(range(3)))
    server.stop()
    failed = site.pull(code=1)
    assert "error" in failed, failed
    pintle = site.serve()
    time.sleep(2)
    assert pintle.poll() is None, "a store that is away ends the server"
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
    server.start()
    try:
        site.store().create_bucket(Bucket=site.bucket)
    except site.store().exceptions.BucketAlreadyOwnedByYou:
        pass
    site.put("a.json", records(range(3)))
    site.wait_for(2)
    os.unlink(site.credentials)
    site.put("b.json", records(range(3, 5)))
    assert "credentials" in site.pull(code=1)
    site.write_credentials(SECRET)
    site.wait_for(4)
    pintle.terminate()
    assert pintle.wait(60) == 0
    with open(site.data + ".log") as log:
        text = log.read()
    assert "cannot be fetched from" in text and "can be fetched from again" in text, text
    assert SECRET not in text
    server.stop()


class Container(Site):
    """A container of Azure's for each table, and a Pintle that fetches from them."""

    KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="

    def __init__(self, top, port):
        self.data = os.path.join(top, "data-azure")
        self.credentials = os.path.join(top, "credentials-azure")
        self.settings = os.path.join(top, "azure.toml")
        self.write_credentials(self.KEY)
        with open(self.settings, "w") as file:
            file.write(
                f"""
[data]
folder = "{self.data}"
[pull.export]
url = "az://insights-logs-advancedhunting-{{table}}/"
credentials_file = "{self.credentials}"
format = "mde-streaming"
"""
            )
        # Where object_store looks for an Azurite that is not at its own port.
        os.environ["AZURITE_BLOB_STORAGE_URL"] = f"http://127.0.0.1:{port}"

    def write_credentials(self, key):
        with open(self.credentials, "w") as file:
            file.write(f"AZURE_STORAGE_USE_EMULATOR=true\nAZURE_STORAGE_ACCOUNT_KEY={key}\n")


def azure(top, azurite):
    """An append blob grows; containers that are not there yet; a wrong key."""
    port = free_port()
    arguments = ["--silent", "--disableTelemetry", "--inMemoryPersistence", "--skipApiVersionCheck"]
    server = subprocess.Popen([azurite, *arguments, "--blobPort", str(port)], stdout=subprocess.DEVNULL)
    try:
        site = Container(top, port)
        url = f"http://127.0.0.1:{port}/devstoreaccount1"
        service = BlobServiceClient(url, credential=Container.KEY, retry_total=30, retry_backoff_factor=0.1)
        service.create_container("insights-logs-other")
        assert site.pull()["listed"] == 0
        service.create_container(PREFIX)
        blob = service.get_blob_client(PREFIX, HOUR % 9)
        blob.create_append_blob()
        blob.append_block(records(range(3)) + records([3])[:40])
        assert site.pull()["records"] == 3
        blob.append_block(records([3])[40:] + records([4]))
        came = site.pull()
        assert (came["taken"], came["bytes"]) == (1, len(records([3, 4]))), came
        assert site.pull()["taken"] == 0
        for n in range(5, 25):
            other = service.get_blob_client(PREFIX, "%d/PT1H.json" % n)
            other.create_append_blob()
            other.append_block(records([n]))
        assert site.pull()["records"] == 20
        site.write_credentials(Container.KEY.replace("E", "F"))
        assert "403" in site.pull(code=1)
    finally:
        server.terminate()
        server.wait()


def main():
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as top:
        port = free_port()
        server = ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
        server.start()
        for name, test in [("once", lambda: once(top, port)), ("growing", lambda: growing(top, port)),
                           ("away", lambda: away(top)), ("azure", lambda: azure(top, sys.argv[2]))]:
            if name == "azure" and len(sys.argv) < 3:
                print("  NOT TESTED, since there is no npm: azure")
                continue
            began = time.monotonic()
            test()
            print(f"  {name}: {time.monotonic() - began:.1f} s")
        server.stop()


main()
