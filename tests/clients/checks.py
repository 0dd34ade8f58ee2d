"""What the client tests share: names that lead to the dev server, checks that are counted, the two
questions, and commands of pintle."""

import json
import os
import socket
import subprocess

API = "https://api.securitycenter.microsoft.com"
SCOPE = API + "/.default"


class Names:
    """Sends the service's host names to the dev server, and nothing else anywhere."""

    def __init__(self, hosts, port):
        self.hosts = set(hosts)
        self.port = port
        self.asked = set()
        self.real_getaddrinfo = socket.getaddrinfo
        socket.getaddrinfo = self.getaddrinfo

    def getaddrinfo(self, host, port, *args, **kwargs):
        if isinstance(host, bytes):
            host = host.decode("ascii")
        if host in self.hosts and port in (443, "443", "https"):
            self.asked.add(host)
            return self.real_getaddrinfo("127.0.0.1", self.port, *args, **kwargs)
        if host in ("127.0.0.1", "localhost"):
            return self.real_getaddrinfo(host, port, *args, **kwargs)
        raise OSError(f"this test looks up no other host: {host!r}, port {port!r}")


class Checks:
    def __init__(self):
        self.passed = 0
        self.failed = 0

    def check(self, what, action):
        """Runs an action that raises when it is not as it should be."""
        try:
            said = action()
        except Exception as error:
            self.failed += 1
            print(f"FAILED  {what}: {type(error).__name__}: {error}", flush=True)
            return None
        self.passed += 1
        print(f"ok      {what}", flush=True)
        return said


def expect(condition, message):
    if not condition:
        raise AssertionError(message)


def ask_both_questions(checks, client, dev, token):
    """Calls both endpoints with `requests`, as most scripts do."""
    import requests

    headers = {"Authorization": "Bearer " + token}

    def machines():
        answer = requests.get(f"{API}/api/files/{dev['file_sha1']}/machines", headers=headers, timeout=30)
        expect(answer.status_code == 200, f"{answer.status_code} {answer.text[:300]}")
        body = answer.json()
        expect(body["@odata.context"] == f"{API}/api/$metadata#Machines", body["@odata.context"])
        expect(len(body["value"]) >= 2, f"{len(body['value'])} machines")
        expect(all(machine["id"] and machine["computerDnsName"] for machine in body["value"]), "a machine without a name")

    def files():
        answer = requests.get(f"{API}/api/alerts/{dev['alert_id']}/files", headers=headers, timeout=30)
        expect(answer.status_code == 200, f"{answer.status_code} {answer.text[:300]}")
        hashes = [file["sha1"] for file in answer.json()["value"]]
        expect(dev["file_sha1"] in hashes, f"{dev['file_sha1']} is not among {hashes}")

    checks.check(f"{client}: GET /api/files/{{id}}/machines", machines)
    checks.check(f"{client}: GET /api/alerts/{{id}}/files", files)


def by_command(pintle, dev, *arguments):
    """Runs a command of pintle on the server's data folder; gives what it printed as JSON."""
    command = [pintle, *arguments, "--data", dev["data"], "--json"]
    # A variable of this name would be a setting.
    settings = {name: value for name, value in os.environ.items() if not name.startswith("PINTLE_")}
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, env=settings)
    expect(ran.returncode == 0, f"{' '.join(arguments)}: {ran.returncode} {ran.stderr}")
    return json.loads(ran.stdout)
