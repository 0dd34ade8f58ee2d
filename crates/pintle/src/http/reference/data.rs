//! The data: alerts, files, machines, and how telemetry comes in.

mod changes;
mod elastic;
mod observables;
mod options;
mod related;

use pintle_model::shapes::{alert, domain, file, file_stats, ip, machine};

use super::schema::{Object, Schema, always, maybe};
use super::{Answer, Body, Entry, JSON, Parameter};
use crate::http::page::MAX_NUMBER;
use crate::http::representation::NDJSON;
use options::*;

pub(super) use changes::ENTRIES as CHANGES;
pub(super) use elastic::ENTRIES as ELASTIC;
pub(super) use observables::ENTRIES as OBSERVABLES;
pub(super) use options::{PREFER, UNKNOWN};
pub(super) use related::ENTRIES as RELATED;

pub(super) static ENTRIES: &[Entry] = &[
    Entry {
        path: "/api/alerts",
        id: "alerts.list",
        summary: "List alerts",
        meaning: "The alerts within retention that the caller may see, by id or as \
                  `$orderby` says, at most 10,000 at a time. Their `evidence` is left empty unless `$expand` names it.",
        query: ALERT_LIST,
        answers: &[ALERTS],
        refusals: &[BUSY, BAD_OPTION],
        ..Entry::GET
    },
    Entry {
        path: "/api/alerts/{id}",
        id: "alerts.get",
        summary: "Get an alert",
        meaning: "One alert with its evidence.",
        keys: ALERT_ID,
        query: &[SELECT_ALERTS],
        answers: &[Answer {
            status: 200,
            about: "The alert.",
            content: &[(JSON, Schema::Single(&alert::ASKABLE))],
        }],
        refusals: &[BAD_OPTION, NO_ALERT],
        ..Entry::GET
    },
    Entry {
        path: "/api/alerts/{id}/files",
        id: "alerts.files",
        summary: "List the files in an alert",
        meaning: "The files that the alert's evidence names by a hash, each once.",
        keys: ALERT_ID,
        query: &[TOP, SKIP, SELECT_FILES],
        answers: &[Answer {
            status: 200,
            about: "The files; none is an empty list.",
            content: &[(JSON, Schema::Rows(&file::SHAPE)), (NDJSON, Schema::Text)],
        }],
        refusals: &[BAD_OPTION, NO_ALERT],
        ..Entry::GET
    },
    Entry {
        path: "/api/alerts/{id}/domains",
        id: "alerts.domains",
        summary: "List the domains in an alert",
        meaning: "The hosts of the URLs in the alert's evidence, each once, in the order of their text.",
        keys: ALERT_ID,
        query: &[TOP, SKIP, SELECT_DOMAINS],
        answers: &[Answer {
            status: 200,
            about: "The domains; none is an empty list.",
            content: &[(JSON, Schema::Rows(&domain::SHAPE)), (NDJSON, Schema::Text)],
        }],
        refusals: &[BAD_OPTION, NO_ALERT],
        ..Entry::GET
    },
    Entry {
        path: "/api/alerts/{id}/ips",
        id: "alerts.ips",
        summary: "List the IP addresses in an alert",
        meaning: "The addresses that the alert's evidence names, each once, in the order of their text.",
        keys: ALERT_ID,
        query: &[TOP, SKIP, SELECT_IPS],
        answers: &[Answer {
            status: 200,
            about: "The addresses; none is an empty list.",
            content: &[(JSON, Schema::Rows(&ip::SHAPE)), (NDJSON, Schema::Text)],
        }],
        refusals: &[BAD_OPTION, NO_ALERT],
        ..Entry::GET
    },
    Entry {
        path: "/api/alerts/{id}/machine",
        id: "alerts.machine",
        summary: "Get the machine of an alert",
        meaning: "The machine that the alert is on.",
        keys: ALERT_ID,
        query: &[SELECT_MACHINES],
        answers: &[Answer {
            status: 200,
            about: "The machine.",
            content: &[(JSON, Schema::Single(&machine::SHAPE))],
        }],
        refusals: &[
            BAD_OPTION,
            (
                404,
                "`ResourceNotFound`: no such alert, none that the caller may see, or it is on no known machine.",
            ),
        ],
        ..Entry::GET
    },
    Entry {
        path: "/api/files/{id}",
        id: "files.get",
        summary: "Get a file",
        meaning: "What is known of a file. A hash that stands beside several others is `null`, since a guess \
                  would be wrong for some machine.",
        keys: HASH,
        query: &[SELECT_FILES],
        answers: &[Answer {
            status: 200,
            about: "The file.",
            content: &[(JSON, Schema::Single(&file::SHAPE))],
        }],
        refusals: &[BAD_HASH, NO_FILE],
        ..Entry::GET
    },
    Entry {
        path: "/api/files/{id}/machines",
        id: "files.machines",
        summary: "List the machines that have seen a file",
        meaning: "The machines with a record of the file that the caller may see. When a conflict between hashes \
                  kept machines out, the headers `Pintle-Incomplete` and `Pintle-Ask-Instead` say so.",
        keys: HASH,
        query: RELATED_MACHINES,
        answers: &[MACHINES],
        refusals: &[BUSY, BAD_HASH, UNKNOWN],
        ..Entry::GET
    },
    Entry {
        path: "/api/files/{id}/stats",
        id: "files.stats",
        summary: "Get a file's statistics",
        meaning: "How common the file is. What is world-wide in Defender is all of the tenant's time here. Each \
                  count stands there twice, as text and as a number.",
        keys: HASH,
        query: &[LOOK_BACK_HOURS],
        answers: &[Answer {
            status: 200,
            about: "The statistics.",
            content: &[(JSON, Schema::Whole(&file_stats::SHAPE))],
        }],
        refusals: &[
            (
                400,
                "`InvalidHashValue`: no hash. `InvalidInput`: a bad `lookBackHours`. `ODataError`: an option that is not obeyed here.",
            ),
            NO_FILE,
        ],
        ..Entry::GET
    },
    Entry {
        path: "/api/machines",
        id: "machines.list",
        summary: "List machines",
        meaning: "The machines within retention that the caller may see, by id, at most 10,000 at a time.",
        query: MACHINE_LIST,
        answers: &[MACHINES],
        refusals: &[BUSY, BAD_OPTION],
        ..Entry::GET
    },
    Entry {
        path: "/api/machines/findbytag",
        id: "machines.findbytag",
        summary: "Find machines by a tag",
        meaning: "The machines with a tag, or with one that begins so. Nothing regards case.",
        query: &[
            Parameter {
                is_required: true,
                ..Parameter::option(
                    "tag",
                    Schema::Pattern(r"\S"),
                    "The tag, without blanks around it; at most 8 KiB.",
                )
            },
            Parameter::option(
                "useStartsWithFilter",
                Schema::Bool,
                "Whether the tag may only begin so. `false` if it is not given.",
            ),
            WHICH_MACHINES,
            ORDER_MACHINES,
            TOP,
            SKIP,
            SELECT_MACHINES,
            options::COUNT,
        ],
        answers: &[MACHINES],
        refusals: &[
            BUSY,
            (
                400,
                "`MissingRequiredParameter`: no tag. `InvalidInput`, `ODataError`: a parameter with a bad value.",
            ),
        ],
        ..Entry::GET
    },
    Entry {
        path: "/api/machines/{id}",
        id: "machines.get",
        summary: "Get a machine",
        meaning: "One machine, by id or by computer name. Of several of one name it is the one seen last.",
        keys: MACHINE_ID,
        query: &[SELECT_MACHINES],
        answers: &[Answer {
            status: 200,
            about: "The machine.",
            content: &[(JSON, Schema::Single(&machine::SHAPE))],
        }],
        refusals: &[BAD_OPTION, NO_MACHINE],
        ..Entry::GET
    },
    Entry {
        method: "POST",
        path: "/api/files/lookup",
        id: "files.lookup",
        summary: "Look up many hashes",
        meaning: "Up to 100,000 hashes of any kinds in one call, which counts as one: as JSON, or one a line. What \
                  comes back is a line of JSON for each hash that is known, in the order asked, and one with an \
                  `error` for each that is no hash. Ours: Defender has no such endpoint.",
        query: &[Parameter::option(
            "machines",
            Schema::Bool,
            "Whether to name the machines, for hashes sent one a line. It takes a permission to read machines.",
        )],
        body: Some(Body {
            is_required: true,
            content: &[
                (JSON, Schema::Object(&HASH_LIST)),
                ("text/plain", Schema::Text),
                (NDJSON, Schema::Text),
            ],
        }),
        answers: &[Answer { status: 200, about: "A line for each hit.", content: &[(NDJSON, Schema::Text)] }],
        refusals: &[
            (
                400,
                "`MaximumBatchSizeExceeded`: more than 100,000. `InvalidRequestBody`, `MissingRequiredParameter`: a body that is none of these. `InvalidInput`, `ODataError`: a bad parameter.",
            ),
            (408, "`BadRequest`: the body broke off, or came too slowly."),
            (413, "`RequestBodyTooLarge`: more than 16 MiB."),
            (415, "`InvalidInput`: a `Content-Encoding`, or a media type that is none of these."),
            (503, "`ServiceUnavailable`: busy with other lists."),
        ],
        ..Entry::GET
    },
    Entry {
        path: "/api/ingest/status",
        id: "ingest.status",
        summary: "Where telemetry comes from, and how it comes",
        meaning: "Each source of the token\'s tenant in each of its formats: when it came last, how much and how late, \
                  and what of it could not be used; the files of watched folders, and the consumers of topics. Of what came since the \
                  server first heard of the source. For applications; one that is limited to device groups \
                  is told of none. Ours: Defender has no such endpoint.",
        answers: &[Answer {
            status: 200,
            about: "The sources, by name and format, the watched folders, and the consumers of topics.",
            content: &[(JSON, Schema::Object(&STATUS))],
        }],
        ..Entry::GET
    },
    Entry {
        method: "POST",
        path: "/api/ingest",
        id: "ingest",
        summary: "Send telemetry",
        meaning: "Takes records in any format that files may have, recognised by their content: plain, \
                  packed with gzip or zstd, or in an archive (zip, tar), of which each member is a source of its \
                  own in what is kept aside (`http:logs/a.json`). A key of an inlet sends them for its tenant, and \
                  its machine namespace if it has one. 200 means that all of them are durable and can be read. A record that cannot be read is \
                  kept aside and counted. A content type \
                  counts where it names a format. Sending the same body again changes nothing, so whoever got no 200 \
                  repeats it. With an `Idempotency-Key` the report of the first time \
                  comes again, for 24 hours and until the server starts anew, with `Idempotent-Replayed: true`. Ours: \
                  Defender has no such endpoint.",
        query: &[
            Parameter::option(
                "source",
                Schema::Pattern(r"^[^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f][^\x00-\x1f\x7f-\x9f]*$"),
                "Where the records come from, in what is kept aside: at most 256 bytes, and not `(people)`. `http` if it is not given. Not taken by an inlet, whose name it is.",
            ),
            Parameter::option(
                "live",
                Schema::Bool,
                "Whether the records come as they happen: an alert counts then as updated when it came. `true` if it is not given; `false` for history.",
            ),
            Parameter::option(
                "format",
                Schema::Named("telemetry-format"),
                "The name of the records\' format, if their content is not to tell. An inlet with a format takes no other.",
            ),
        ],
        headers: &[Parameter::option(
            "Idempotency-Key",
            Schema::PatternOf(r"^[!-~]+$", 255),
            "By which the sender knows the request if it is sent again.",
        )],
        body: Some(Body {
            is_required: true,
            content: &[
                ("application/octet-stream", Schema::Anything),
                ("application/x-ndjson", Schema::Anything),
            ],
        }),
        answers: &[Answer {
            status: 200,
            about: "What came in, what it changed, what there is now.",
            content: &[(JSON, Schema::Object(&REPORT))],
        }],
        refusals: &[
            (
                400,
                "`InvalidRequestBody`: no records, or of no known format. `InvalidInput`: a bad parameter.",
            ),
            (408, "`BadRequest`: the body broke off, or came too slowly."),
            (
                409,
                "`Conflict`: the first request with this `Idempotency-Key` is at work still; `Retry-After` says when to ask again.",
            ),
            (
                413,
                "`RequestBodyTooLarge`: more than `ingest.max_body_bytes`, packed or unpacked, or unpacked more than 1,000 times what came.",
            ),
            (415, "`InvalidInput`: a `Content-Encoding` other than gzip and zstd, or a form."),
            (422, "`IdempotencyKeyReused`: it came with another body within 24 hours."),
            (
                429,
                "`TooManyRequests`: 128 bodies of this sender are waiting; `Retry-After` says for how many seconds.",
            ),
            (
                503,
                "`ServiceUnavailable`: busy with others' telemetry, or the server takes none: its log says why. `Retry-After` says for how many seconds.",
            ),
            (507, "`InsufficientStorage`: the disk is full."),
        ],
        ..Entry::GET
    },
    Entry {
        path: "/api/$metadata",
        id: "service.metadata",
        summary: "Get the metadata of OData",
        meaning: "The entity sets and the types of their entities, in CSDL 4.0. Every `@odata.context` points into it.",
        answers: &[Answer {
            status: 200,
            about: "The document.",
            content: &[("application/xml", Schema::Text)],
        }],
        ..Entry::GET
    },
    Entry {
        path: "/openapi.json",
        id: "service.openapi",
        summary: "Get this document",
        meaning: "What the server can do, in OpenAPI 3.1.",
        answers: &[Answer { status: 200, about: "The document.", content: &[(JSON, Schema::Anything)] }],
        ..Entry::GET
    },
    Entry {
        path: "/docs",
        id: "service.docs",
        summary: "Read the reference",
        meaning: "This document as a page for people.",
        answers: &[Answer { status: 200, about: "The page.", content: &[("text/html", Schema::Text)] }],
        ..Entry::GET
    },
];

const COUNT: Schema = Schema::Number(0, MAX_NUMBER);

static HASH_LIST: Object = Object::sent(
    "HashList",
    "Hashes to be looked up.",
    &[
        always("hashes", Schema::List(&Schema::Text), "The hashes: SHA-1, SHA-256 or MD5."),
        maybe("machines", Schema::Bool, "Whether to name the machines."),
    ],
);

static REPORT: Object = Object::given(
    "IngestReport",
    "What came of telemetry that was sent.",
    &[
        always("format", Schema::OrNull(&Schema::Text), "The format that the content was recognised as."),
        always("records", COUNT, "Records read, those that were rejected too."),
        always("withFileHash", COUNT, "Those with a hash of a file."),
        always("rejected", COUNT, "Those that could not be read, or not wholly, which are kept aside."),
        always("rejectedByReason", Schema::Counts, "The same by reason."),
        always("ignored", Schema::Counts, "What was left out on purpose, by reason."),
        always("bytes", COUNT, "Bytes read, unpacked."),
        always("packedBytes", COUNT, "Bytes read, as they were sent."),
        always("batches", COUNT, "Batches that were made of them."),
        always("repeatedBatches", COUNT, "Those that were here already."),
        maybe(
            "newMachines",
            COUNT,
            "Machines that were not known. This, `newFiles` and `totals` are not told to an inlet.",
        ),
        maybe("newFiles", COUNT, "Files that were not known."),
        always(
            "implausibleTimes",
            COUNT,
            "Times before 1990 or more than a day ahead, which count for nothing.",
        ),
        always("alertsOutsideRetention", COUNT, "Alerts that cannot be found, since they are too old."),
        maybe("totals", Schema::Object(&TOTALS), "What there is now."),
    ],
);

static STATUS: Object = Object::given(
    "IngestStatus",
    "Where telemetry comes from.",
    &[
        always(
            "value",
            Schema::List(&Schema::Object(&SOURCE)),
            "The sources, one for each of their formats.",
        ),
        always("watched", Schema::List(&Schema::Object(&WATCHED)), "The watched folders."),
        always("kafka", Schema::List(&Schema::Object(&CONSUMER)), "The consumers of topics of Kafka."),
    ],
);

static SOURCE: Object = Object::given(
    "Source",
    "What is known of a source in one of its formats.",
    &[
        always("source", Schema::Text, "Its name. `(others)`: there are too many."),
        always("format", Schema::OrNull(&Schema::Text), "The format; `null`: nothing of it was read yet."),
        always("live", Schema::Bool, "Whether it comes as it happens."),
        always(
            "state",
            Schema::OneOf(&["silent", "active", "unknown"]),
            "`silent`: it came regularly and does not any more; `active`: it came within `ingest.silent_after`; \
             `unknown`: neither, or nobody set that.",
        ),
        always("firstArrival", Schema::Time, "When the source was first heard of."),
        always("lastArrival", Schema::Time, "When it came last."),
        always(
            "lastEvent",
            Schema::OrNull(&Schema::Time),
            "The time of the latest event that can be believed.",
        ),
        always("silentSince", Schema::OrNull(&Schema::Time), "Since when it is silent, if it is."),
        always("records", COUNT, "Records that came, repeated ones too."),
        always("recordsLastMinute", COUNT, "Those of the last minute, …"),
        always("recordsLastHour", COUNT, "… hour, …"),
        always("recordsLastDay", COUNT, "… and day."),
        always(
            "lagSecondsMedian",
            Schema::OrNull(&Schema::Anything),
            "From an event to its arrival, at most half as much again as it was.",
        ),
        always("lagSecondsP99", Schema::OrNull(&Schema::Anything), "What 99 of 100 do not exceed."),
        always("rejectedByReason", Schema::Counts, "Records kept aside."),
        always("ignored", Schema::Counts, "Records left out on purpose."),
        always("fileEvents", COUNT, "Events about a file."),
        always("withoutHashByReason", Schema::Counts, "Those that do not name it by a usable hash."),
        always("failures", COUNT, "Times that something of the source was not read to its end."),
        always("lastFailure", Schema::OrNull(&Schema::Text), "Why, the last time."),
    ],
);

static WATCHED: Object = Object::given(
    "WatchedFolder",
    "A watched folder.",
    &[
        always("source", Schema::Text, "The name of the source."),
        always("fileCount", COUNT, "Its files."),
        always("files", Schema::List(&Schema::Object(&WATCHED_FILE)), "The files, at most 1,000."),
        always("troubles", Schema::List(&Schema::Text), "What is wrong with the folder."),
    ],
);

static WATCHED_FILE: Object = Object::given(
    "WatchedFile",
    "A file in a watched folder.",
    &[
        always("name", Schema::Text, "Its name in the folder."),
        always("offset", COUNT, "How much of it was taken."),
        always("size", COUNT, "Its size."),
        always("taken", Schema::Bool, "Whether all of it was."),
        always("trouble", Schema::OrNull(&Schema::Text), "Why it is not, if something is wrong."),
    ],
);

static CONSUMER: Object = Object::given(
    "KafkaConsumer",
    "A consumer of topics of Kafka.",
    &[
        always("name", Schema::Text, "The name of its section in the settings."),
        always("source", Schema::Text, "The name of the source."),
        always("group", Schema::Text, "The consumer group."),
        always("partitionCount", COUNT, "The partitions that it has."),
        always("partitions", Schema::List(&Schema::Object(&PARTITION)), "These, at most 1,000."),
        always("troubles", Schema::List(&Schema::Text), "What goes wrong."),
    ],
);

static PARTITION: Object = Object::given(
    "KafkaPartition",
    "A partition of a topic.",
    &[
        always("topic", Schema::Text, "The topic."),
        always("partition", COUNT, "The partition."),
        always("committed", Schema::OrNull(&COUNT), "The offset to go on from; `null`: none is known yet."),
        always("lag", Schema::OrNull(&COUNT), "Messages that wait; `null`: it is not known yet."),
    ],
);

static TOTALS: Object = Object::given(
    "Totals",
    "What the tenant has.",
    &[
        always("machines", COUNT, "Machines."),
        always("files", COUNT, "Distinct sets of file hashes."),
        always("alerts", COUNT, "Alerts."),
    ],
);
