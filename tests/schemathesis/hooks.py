"""What Schemathesis cannot know from the document: texts that fit a grammar, and telemetry. Loaded by
`run.py` through SCHEMATHESIS_HOOKS."""

import datetime
import json
import os
import urllib.parse

import schemathesis
from hypothesis import strategies as st

# In a filter a quote is written twice.
TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=20)
QUOTED = TEXTS.map(lambda text: "'" + text.replace("'", "''") + "'")
INTEGERS = st.integers(-(2**63), 2**63 - 1).map(str)
TIMES = st.datetimes().map(lambda time: time.isoformat(timespec="seconds").zfill(19) + "Z")
DATES = st.dates().map(lambda date: date.isoformat())
EQUALITY = st.sampled_from(["eq", "ne"])
ORDER = st.sampled_from(["eq", "ne", "gt", "ge", "lt", "le"])


def compared(names, operators, literals):
    return st.builds("{} {} {}".format, st.sampled_from(names), operators, literals)


def function(names):
    called = st.sampled_from(["startswith", "endswith", "contains"])
    return st.builds("{}({},{})".format, called, st.sampled_from(names), QUOTED)


def any_of(names, element):
    quantifier = st.sampled_from(["any", "all"])
    return st.builds("{}/{}(x: {})".format, st.sampled_from(names), quantifier, element)


def filters(simple):
    """Conditions put together, not deep: how deep they may go is the server's own test."""
    return st.recursive(
        simple,
        lambda inner: st.one_of(
            st.builds("{} and {}".format, inner, inner),
            st.builds("({} or {})".format, inner, inner),
            st.builds("not ({})".format, inner),
        ),
        max_leaves=8,
    )


ALERTS = filters(
    st.one_of(
        compared(["id", "assignedTo", "detectionSource", "category"], ORDER, QUOTED),
        compared(["severity", "Status"], EQUALITY, QUOTED),
        compared(["incidentId", "investigationId"], ORDER, INTEGERS),
        compared(["alertCreationTime", "lastEventTime", "lastUpdateTime"], ORDER, st.one_of(TIMES, DATES)),
        compared(["assignedTo", "incidentId", "lastEventTime"], EQUALITY, st.just("null")),
        function(["id", "category"]),
        any_of(["evidence"], compared(["x/sha1", "x/fileName", "x/accountName"], ORDER, QUOTED)),
    )
)
MACHINES = filters(
    st.one_of(
        compared(["id", "computerDnsName", "osPlatform", "version", "aadDeviceId"], ORDER, QUOTED),
        compared(["riskScore", "healthStatus", "onboardingStatus"], EQUALITY, QUOTED),
        compared(["rbacGroupId"], ORDER, INTEGERS),
        compared(["lastSeen"], ORDER, st.one_of(TIMES, DATES)),
        function(["computerDnsName", "lastIpAddress"]),
        st.builds("{} in ({})".format, st.just("id"), st.lists(QUOTED, min_size=1, max_size=5).map(",".join)),
        any_of(["machineTags"], compared(["x"], ORDER, QUOTED)),
        any_of(["ipAddresses"], compared(["x/ipAddress", "x/macAddress"], ORDER, QUOTED)),
    )
)
schemathesis.openapi.format("odata-filter-alert", ALERTS)
schemathesis.openapi.format("odata-filter-machine", MACHINES)


def orders(names):
    one = st.builds("{}{}".format, st.sampled_from(names), st.sampled_from(["", " asc", " DESC"]))
    # No member twice.
    return st.lists(one, min_size=1, max_size=3, unique_by=lambda text: text.split()[0].lower()).map(",".join)


schemathesis.openapi.format("odata-order-alert", orders(["id", "severity", "Status", "lastUpdateTime", "title", "sequence", "incidentId"]))
schemathesis.openapi.format("odata-order-machine", orders(["id", "lastSeen", "computerDnsName", "riskScore", "osBuild"]))

# What is there to be found, besides what is not.
DEV = json.loads(os.environ["PINTLE_DEV"])


def selections(there, on_request):
    """Some members, or one alone, in any case, with blanks and twice; or all of them. Those that are given
    only on request are rare among the others, so they have a turn of their own."""
    written = st.sampled_from([str, str.upper, " {} ".format])
    names = st.sampled_from(there) if not on_request else st.one_of(st.sampled_from(there), st.sampled_from(on_request))
    one = st.builds(lambda name, written: written(name), names, written)
    return st.one_of(one, st.lists(one, min_size=1, max_size=6).map(",".join), st.sampled_from(["*", " * ", "*,*", "*," + there[0]]))


for shape, (there, on_request) in DEV["members"].items():
    schemathesis.openapi.format("odata-select-" + shape.lower(), selections(there, on_request))


@schemathesis.check
def selected_members_are_given(ctx, response, case):
    """Entities have the members that `$select` names, and no others."""
    query = urllib.parse.parse_qs(urllib.parse.urlsplit(response.request.url).query)
    lines = "application/x-ndjson" in response.headers.get("content-type", [""])[0]
    if response.status_code != 200 or "$select" not in query or not response.content:
        return
    named = {name.strip().lower() for name in query["$select"][0].split(",")}
    if "*" in named:
        return
    try:
        answer = [json.loads(line) for line in response.content.splitlines()] if lines else json.loads(response.content)
    except ValueError as error:
        raise AssertionError(f"no JSON: {response.content!r}") from error
    for entity in answer if lines else answer.get("value", [answer]):
        given = {name.lower() for name in entity if not name.startswith("@odata.")}
        assert given == named, f"$select={query['$select'][0]} is answered with {sorted(given)}"



@schemathesis.hook
def before_load_schema(ctx, raw_schema):
    """The server alone can make a place in a list, and it is good for that list alone."""
    for path in raw_schema["paths"].values():
        for operation in path.values():
            parameters = operation.get("parameters", [])
            parameters[:] = [each for each in parameters if each["name"] != "$skiptoken"]


HEX = st.sampled_from([32, 40, 64]).flatmap(lambda length: st.text("0123456789abcdefABCDEF", min_size=length, max_size=length))
schemathesis.openapi.format("alert-id", st.one_of(st.sampled_from(DEV["alerts"]), TEXTS.filter(bool)))
schemathesis.openapi.format("machine-id", st.one_of(st.sampled_from(DEV["machines"]), TEXTS.filter(bool)))
schemathesis.openapi.format("file-hash", st.one_of(st.sampled_from(DEV["files"]), HEX))
LABELS = st.text("abcdefghijklmnopqrstuvwxyz0123456789-", min_size=1, max_size=12)
schemathesis.openapi.format("host-name", st.lists(LABELS, min_size=2, max_size=4).map(lambda labels: ".".join(labels) + ".example"))
schemathesis.openapi.format("ip-address", st.ip_addresses().map(str))
schemathesis.openapi.format("account-name", st.text("abcdefghijklmnopqrstuvwxyz.-_ü", min_size=1, max_size=20))
NOW = datetime.datetime.now(datetime.timezone.utc)
RECENT = st.timedeltas(datetime.timedelta(minutes=1), datetime.timedelta(days=29)).map(lambda ago: (NOW - ago).strftime("%Y-%m-%dT%H:%M:%SZ"))
schemathesis.openapi.format("recent-time", RECENT)
schemathesis.openapi.format("tenant", st.sampled_from([DEV["tenant_id"], DEV["tenant_id"].upper(), "common", "organizations"]))
schemathesis.openapi.format("telemetry-format", st.sampled_from(["mde-alerts", "MDE-Streaming"]))

# Telemetry as Defender exports it: what anybody may have written is anything at all.
VALUES = st.one_of(st.none(), st.booleans(), st.integers(), TEXTS, st.lists(TEXTS, max_size=3))
HASHES = st.sampled_from([None, "", "x", "a1" * 20, "b2" * 32, "c3" * 16, "0" * 40])
OBJECTS = st.dictionaries(st.sampled_from(["userName", "accountName", "domainName", "comment", "createdTime", "host"]), VALUES)
EVIDENCE = st.fixed_dictionaries(
    {"entityType": st.sampled_from(["File", "Ip", "Url", "User", "Process", "Other"])},
    optional={name: VALUES for name in ["fileName", "processId", "ipAddress", "url", "evidenceCreationTime"]}
    | {"sha1": HASHES, "sha256": HASHES},
)
ALERT = st.fixed_dictionaries(
    # No text that is made up for a question is one of these.
    {"id": st.text("019", min_size=1, max_size=4).map("da638_sent_{}".format), "machineId": VALUES, "severity": VALUES},
    optional={name: VALUES for name in ["title", "status", "incidentId", "lastUpdateTime", "assignedTo"]}
    | {name: st.lists(st.one_of(VALUES, OBJECTS), max_size=3) for name in ["mitreTechniques", "comments", "loggedOnUsers", "domains"]}
    | {"relatedUser": st.one_of(VALUES, OBJECTS), "evidence": st.lists(st.one_of(EVIDENCE, VALUES), max_size=3)},
)
FILE_EVENT = st.fixed_dictionaries(
    {"DeviceId": st.text("0123456789abcdef", min_size=40, max_size=40), "Timestamp": TIMES},
    optional={name: VALUES for name in ["DeviceName", "ActionType", "FileName", "FolderPath", "AdditionalFields"]}
    | {"SHA1": HASHES, "SHA256": HASHES, "MD5": HASHES},
)
STREAMED = FILE_EVENT.map(lambda row: {"time": row["Timestamp"], "category": "AdvancedHunting-DeviceFileEvents", "properties": row})


def lines(records):
    return st.lists(records, min_size=1, max_size=5).map(
        lambda all: "\n".join(json.dumps(record) for record in all).encode()
    )


schemathesis.openapi.media_type("application/octet-stream", st.one_of(lines(ALERT), lines(STREAMED)), aliases=["application/x-ndjson"])
