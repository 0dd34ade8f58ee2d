//! How a server can be kept waiting. Another way is another row of [`KINDS`].

use std::time::Duration;

/// A way to keep a server waiting.
pub struct Kind {
    /// Its name in the report.
    pub name: &'static str,
    /// Whether the server speaks TLS.
    pub tls: bool,
    /// What a connection begins with.
    pub first: fn(&Known) -> Vec<u8>,
    /// What follows now and then.
    pub bit: &'static [u8],
    /// How it reads.
    pub reads: Reads,
    /// Whether connections are closed as soon as they are made.
    pub is_flood: bool,
    /// How long the server's timeouts let one go on, as they are set here.
    pub ends_within: Duration,
}

/// How an attacker reads.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Reads {
    /// What comes, when it comes.
    Everything,
    /// A byte now and then.
    Bits,
}

/// What attackers know.
pub struct Known {
    /// A token, of another application than the good clients'.
    pub token: String,
    /// Where tokens are given.
    pub token_path: String,
}

const HEADERS: Duration = Duration::from_millis(1_500);
const BODY: Duration = Duration::from_secs(2);
const IDLE: Duration = Duration::from_secs(3);

/// The timeouts that [`Kind::ends_within`] is made of: short, so that a run sees their end often. An answer is
/// to be taken with so much that what the system's buffers hold of it counts little.
pub const TIMEOUTS: &[(&str, &str)] = &[
    ("PINTLE_SERVER_HANDSHAKE_TIMEOUT", "1500ms"),
    ("PINTLE_SERVER_HEADER_TIMEOUT", "1500ms"),
    ("PINTLE_SERVER_BODY_TIMEOUT", "2s"),
    ("PINTLE_SERVER_IDLE_TIMEOUT", "3s"),
    ("PINTLE_SERVER_MIN_ANSWER_RATE", "1MiB"),
];

/// Timeouts that never come, and room for all, so that nobody gives way.
pub const NO_TIMEOUTS: &[(&str, &str)] = &[
    ("PINTLE_SERVER_HANDSHAKE_TIMEOUT", "1h"),
    ("PINTLE_SERVER_HEADER_TIMEOUT", "1h"),
    ("PINTLE_SERVER_BODY_TIMEOUT", "1h"),
    ("PINTLE_SERVER_IDLE_TIMEOUT", "1h"),
    ("PINTLE_SERVER_MIN_ANSWER_RATE", "1"),
    ("PINTLE_SERVER_MAX_CONNECTIONS", "4000"),
    ("PINTLE_SERVER_MAX_CONNECTIONS_PER_ADDRESS", "1000"),
];

/// Where nothing is special.
const PLAIN: Kind = Kind {
    name: "",
    tls: false,
    first: |_| Vec::new(),
    bit: b"",
    reads: Reads::Everything,
    is_flood: false,
    ends_within: HEADERS,
};

/// All ways.
pub const KINDS: &[Kind] = &[
    Kind { name: "silence", ..PLAIN },
    Kind {
        name: "slow headers",
        first: |_| b"GET / HTTP/1.1\r\nHost: localhost\r\n".to_vec(),
        bit: b"X-A: b\r\n",
        ..PLAIN
    },
    Kind { name: "slow telemetry", first: slow_telemetry, bit: b" ", ends_within: BODY, ..PLAIN },
    // Beside the timeout, so long as a form of the largest size may take.
    Kind {
        name: "slow forms",
        first: slow_form,
        bit: b"a",
        ends_within: BODY.saturating_add(Duration::from_secs(1)),
        ..PLAIN
    },
    // Beside the timeout, so long as what the system's buffers have taken may.
    Kind {
        name: "slow reading",
        first: |_| b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(50),
        bit: b"\r\n",
        reads: Reads::Bits,
        ends_within: BODY.saturating_add(Duration::from_secs(1)),
        ..PLAIN
    },
    Kind {
        name: "idle connections",
        first: |_| b"GET /api/machines HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(),
        ends_within: IDLE,
        ..PLAIN
    },
    Kind { name: "a flood of connections", is_flood: true, ..PLAIN },
    Kind { name: "silence before TLS", tls: true, ..PLAIN },
    Kind { name: "slow TLS handshakes", tls: true, first: |_| HELLO.to_vec(), bit: b"\0", ..PLAIN },
];

/// The header of a TLS record of 512 bytes with a greeting of 508 in it.
const HELLO: &[u8] = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";

fn slow_telemetry(known: &Known) -> Vec<u8> {
    slow_body("/api/ingest", &format!("Authorization: Bearer {}\r\n", known.token))
}

fn slow_form(known: &Known) -> Vec<u8> {
    slow_body(&known.token_path, "Content-Type: application/x-www-form-urlencoded\r\n")
}

fn slow_body(path: &str, header: &str) -> Vec<u8> {
    format!("POST {path} HTTP/1.1\r\nHost: localhost\r\n{header}Content-Length: 9000\r\n\r\n").into_bytes()
}
