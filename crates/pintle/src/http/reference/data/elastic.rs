//! Telemetry as Elasticsearch's clients send it.

use super::super::schema::{Object, Schema, always};
use super::super::{Answer, Body, Entry, JSON, Parameter, Refusal};
use super::{COUNT, NDJSON};

const INDEX: Parameter =
    Parameter::key("index", Schema::Text, "The index that the sender would have it in: only told again.");
const ID: Parameter =
    Parameter::key("id", Schema::Text, "What the sender calls the document: only told again.");
const INTO: &[Parameter] = &[INDEX];
const NAMED: &[Parameter] = &[INDEX, ID];

const PIPELINE: &[Parameter] = &[Parameter::key("id", Schema::Text, "The pipeline's name.")];

const BULK: Body =
    Body { is_required: true, content: &[(NDJSON, Schema::Anything), (JSON, Schema::Anything)] };
const DOCUMENT: Body = Body { is_required: true, content: &[(JSON, Schema::Anything)] };

const BULK_ANSWER: &[Answer] = &[Answer {
    status: 200,
    about: "What became of each document.",
    content: &[(JSON, Schema::Object(&REPORT))],
}];
const CREATED: &[Answer] = &[
    Answer { status: 201, about: "It is durable.", content: &[(JSON, Schema::Anything)] },
    Answer {
        status: 400,
        about: "The document was kept aside: why, as Elasticsearch says it. Or `InvalidRequestBody`: damaged compressed data; `InvalidInput`: a path that is not UTF-8.",
        content: &[(JSON, Schema::Anything)],
    },
];
const TOLD: &[Answer] =
    &[Answer { status: 200, about: "As Elasticsearch says it.", content: &[(JSON, Schema::Anything)] }];

const NOT_BULK: Refusal = (
    400,
    "`InvalidRequestBody`: no documents, a line that is no action, or damaged compressed data. `InvalidInput`: a path that is not UTF-8.",
);
const BROKE_OFF: Refusal = (408, "`BadRequest`: the body broke off, or came too slowly.");
const TOO_LARGE: Refusal = (
    413,
    "`RequestBodyTooLarge`: more than `ingest.max_body_bytes`, packed or unpacked, or more documents than are answered at once.",
);
const PACKED: Refusal = (415, "`InvalidInput`: a `Content-Encoding` other than gzip and zstd.");
const TOO_MANY: Refusal = (
    429,
    "`TooManyRequests`: 128 bodies of this sender are waiting; `Retry-After` says for how many seconds.",
);
const BUSY: Refusal = (
    503,
    "`ServiceUnavailable`: busy with others' telemetry, or the server takes none: its log says why. `Retry-After` says for how many seconds.",
);
const FULL: Refusal = (507, "`InsufficientStorage`: the disk is full.");

const OF_BULK: &[Refusal] = &[NOT_BULK, BROKE_OFF, TOO_LARGE, PACKED, TOO_MANY, BUSY, FULL];
const OF_DOCUMENT: &[Refusal] = &[BROKE_OFF, TOO_LARGE, PACKED, TOO_MANY, BUSY, FULL];

pub(in super::super) static ENTRIES: &[Entry] = &[
    asked("/elastic", "elastic.info", "Tell the version", "By which a shipper knows what it talks to.", &[]),
    asked(
        "/elastic/_license",
        "elastic.license",
        "Tell the licence",
        "Beats ask for it before they send. It says `basic`, and means nothing.",
        &[],
    ),
    asked(
        "/elastic/_xpack",
        "elastic.xpack",
        "Tell the features",
        "The same for old Beats. There are none.",
        &[],
    ),
    asked(
        "/elastic/_cluster/health",
        "elastic.health",
        "Tell that the server answers",
        "Vector asks it before it sends.",
        &[],
    ),
    asked(
        "/elastic/_ingest/pipeline/{id}",
        "elastic.pipeline",
        "Tell a pipeline",
        "Modules of Filebeat ask for theirs. Whichever it is, it is there and does nothing.",
        PIPELINE,
    ),
    bulk("POST", "/elastic/_bulk", "elastic.bulk", &[]),
    bulk("PUT", "/elastic/_bulk", "elastic.bulk_put", &[]),
    bulk("POST", "/elastic/{index}/_bulk", "elastic.index.bulk", INTO),
    bulk("PUT", "/elastic/{index}/_bulk", "elastic.index.bulk_put", INTO),
    one("POST", "/elastic/{index}/_doc", "elastic.index.add", INTO),
    one("POST", "/elastic/{index}/_doc/{id}", "elastic.index.add_named", NAMED),
    one("PUT", "/elastic/{index}/_doc/{id}", "elastic.index.add_named_put", NAMED),
    one("POST", "/elastic/{index}/_create/{id}", "elastic.index.create", NAMED),
    one("PUT", "/elastic/{index}/_create/{id}", "elastic.index.create_put", NAMED),
];

const fn asked(
    path: &'static str,
    id: &'static str,
    summary: &'static str,
    meaning: &'static str,
    keys: &'static [Parameter],
) -> Entry {
    Entry { path, id, summary, meaning, keys, answers: TOLD, ..Entry::GET }
}

const fn bulk(
    method: &'static str,
    path: &'static str,
    id: &'static str,
    keys: &'static [Parameter],
) -> Entry {
    Entry {
        method,
        path,
        id,
        summary: "Send documents",
        meaning: "Takes what Elasticsearch's bulk API takes: lines of actions (`index`, `create`) and documents \
                  in turn, plain, gzip or zstd. Each document is a record of any format that files may have, \
                  told by its content. 200 means that all that were taken are durable and can be read; one \
                  that cannot be read is kept aside and answered with 400 in its place. `update` and `delete` \
                  are answered with 400: nothing is changed here. Options in the URL are not looked at. Ours: \
                  Defender has no such endpoint.",
        keys,
        body: Some(BULK),
        answers: BULK_ANSWER,
        refusals: OF_BULK,
        ..Entry::GET
    }
}

const fn one(
    method: &'static str,
    path: &'static str,
    id: &'static str,
    keys: &'static [Parameter],
) -> Entry {
    Entry {
        method,
        path,
        id,
        summary: "Send a document",
        meaning: "Takes one document, as the bulk endpoint takes many. The name that it is given counts for \
                  nothing: the same document under any name, any number of times, is known once.",
        keys,
        body: Some(DOCUMENT),
        answers: CREATED,
        refusals: OF_DOCUMENT,
        ..Entry::GET
    }
}

static REPORT: Object = Object::given(
    "BulkReport",
    "What became of documents.",
    &[
        always("errors", Schema::Bool, "Whether any was not taken."),
        always(
            "items",
            Schema::List(&Schema::Anything),
            "An object for each in order, with the action's name for `_index` and `_id` as they were sent, `status`, and `error` if it is 400.",
        ),
        always("took", COUNT, "Milliseconds."),
    ],
);
