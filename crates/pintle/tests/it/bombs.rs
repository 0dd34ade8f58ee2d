//! Small bodies that unpack to a multiple of what may come in, many at once.

use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::command::{row, run_on};
use crate::server::Server;

/// What each unpacks to, beyond what the server takes.
const UNPACKED: usize = 32 << 20;
const TAKEN: &str = "24MiB";

/// What a part of one that has many unpacks to.
const PART: usize = 1 << 20;

/// How many of the bodies are of long lists and objects.
const LISTS: usize = 6;

/// How much of memory all of them together may take.
const RISE_KB: u64 = 128 << 10;

fn gzip(begin: &str, repeated: &[u8]) -> Vec<u8> {
    gzip_of(UNPACKED, begin, repeated)
}

fn gzip_of(size: usize, begin: &str, repeated: &[u8]) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    packed.write_all(begin.as_bytes()).unwrap();
    for _ in 0..size / repeated.len() {
        packed.write_all(repeated).unwrap();
    }
    packed.finish().unwrap()
}

/// A frame of zstd with this window, by the exponent of two: a raw block, then blocks of 128 KiB of one byte.
fn zstd(window: u8, begin: &str, repeated: u8) -> Vec<u8> {
    zstd_of(UNPACKED, window, begin, repeated)
}

fn zstd_of(size: usize, window: u8, begin: &str, repeated: u8) -> Vec<u8> {
    let block = |kind: u32, size: usize, is_last: bool| {
        let header = u32::try_from(size).unwrap() << 3 | kind << 1 | u32::from(is_last);
        header.to_le_bytes()[..3].to_vec()
    };
    let mut frame = b"\x28\xb5\x2f\xfd\x00".to_vec();
    frame.push((window - 10) << 3);
    frame.extend(block(0, begin.len(), false));
    frame.extend(begin.as_bytes());
    let blocks = size / (128 << 10);
    for n in 0..blocks {
        frame.extend(block(1, 128 << 10, n + 1 == blocks));
        frame.push(repeated);
    }
    frame
}

/// Lines of the kind that is given, each as long as a record may be, of a list or object of so many members.
fn members(begin: &str, member: &str, end: &str) -> Vec<u8> {
    let length = 15 << 20;
    let mut line = begin.to_owned();
    line.push_str(&member.repeat((length - begin.len() - end.len()) / member.len()));
    line.push_str(end);
    gzip("", line.as_bytes())
}

/// Bodies, each with its format.
fn bombs() -> Vec<(&'static str, Vec<u8>)> {
    let command_line = format!(r#""ProcessCommandLine":"{}","#, "x".repeat(4_000));
    let row = row(1, "ws-01", 1, &"a1".repeat(20)).replacen('{', &format!("{{{command_line}"), 1);
    let rows = [
        // One record without end, in a document and in a line.
        gzip("{\n\"a\":\"", &[b'a'; 4096]),
        gzip("{\"a\":1}\n{\"a\":\"", &[b'a'; 4096]),
        zstd(23, "{\n\"a\":\"", b'a'),
        zstd(20, "{\"a\":1}\n{\"a\":\"", b'a'),
        // No record at all.
        gzip("", &[b'\n'; 4096]),
        zstd(23, "[", b' '),
        // A window in which nothing is given out before 128 MiB are there.
        zstd(27, "[", b' '),
        // Members and frames one after another, each small.
        gzip_of(PART, "", &[b' '; 4096]).repeat(UNPACKED / PART),
        zstd_of(PART, 23, "", b' ').repeat(UNPACKED / PART),
        // Records that are good.
        gzip("", row.as_bytes()),
        gzip("[", row.replace('\n', ",").as_bytes()),
        members(r#"{"a":1"#, r#","a":1"#, "}\n"),
    ];
    let alert = |member: &str| format!(r#"{{"id":"a","machineId":"b","severity":"Low","{member}":[1"#);
    let alerts = [members(&alert("comments"), ",1", "]}\n"), members(&alert("evidence"), ",1", "]}\n")];
    let machine = |member: &str| format!(r#"{{"id":"a","osPlatform":"b","riskScore":"Low","{member}":[1"#);
    let address = r#",{"ipAddress":"192.0.2.1"}"#;
    let machines = [
        members(&machine("machineTags"), r#","x""#, "]}\n"),
        members(&machine("ipAddresses"), address, "]}\n"),
    ];
    let osquery = r#"{"name":"q","hostIdentifier":"h","unixTime":1,"action":"snapshot","snapshot":[{}"#;
    let results = [members(osquery, ",{}", "]}\n")];
    let of = |format, bombs: Vec<_>| bombs.into_iter().map(move |bomb| (format, bomb));
    of("mde-hunting", rows.into())
        .chain(of("mde-alerts", alerts.into()))
        .chain(of("mde-machines", machines.into()))
        .chain(of("osquery", results.into()))
        .collect()
}

#[test]
fn sixty_four_bombs_at_once_are_refused_and_take_little_memory() {
    let top = tempfile::tempdir().unwrap();
    let data = top.path().join("data");
    assert_eq!(run_on(&data, &["tenant", "create", "other"]).code, 0);
    // Two tenants, so that all places there are are taken.
    let keys = ["default", "other"].map(|tenant| {
        let made = run_on(&data, &["inlet", "add", "beats", "--json", "--tenant", tenant]).json();
        let pair = format!("{}:{}", made["id"].as_str().unwrap(), made["secret"].as_str().unwrap());
        format!("ApiKey {}", STANDARD.encode(pair))
    });
    let settings = [("PINTLE_INGEST_MAX_BODY_BYTES", TAKEN), ("PINTLE_SERVER_BODY_TIMEOUT", "10m")];
    let server = Server::start(&data, &settings);
    for key in &keys {
        let (status, body) = server.post("/api/ingest", key, row(2, "ws-02", 1, &"b2".repeat(20)).as_bytes());
        assert_eq!(status, 200, "{body}");
    }

    let bombs = bombs();
    assert!(bombs.iter().all(|(_, bomb)| bomb.len() < UNPACKED / 200));
    let before = server.kilobytes("VmRSS");
    // All kinds at once, then those that take the most: a long record in a large window, and long lists.
    let lists = &bombs[bombs.len() - LISTS..];
    for bombs in [&bombs[..], &bombs[2..3], lists] {
        std::thread::scope(|scope| {
            for n in 0..64 {
                let (server, (format, bomb), key) = (&server, &bombs[n % bombs.len()], &keys[n % keys.len()]);
                scope.spawn(move || {
                    let (status, body) = server.post(&format!("/api/ingest?format={format}"), key, bomb);
                    assert_eq!(status, 413, "{body}");
                    assert!(body.contains("RequestBodyTooLarge"), "{body}");
                });
            }
        });
    }
    // Packed twice it is unpacked once, and what is in it is no record.
    let mut nested = GzEncoder::new(Vec::new(), Compression::default());
    nested.write_all(&bombs[0].1).unwrap();
    let nested = nested.finish().unwrap();
    let (status, body) = server.post("/api/ingest?format=mde-hunting", &keys[0], &nested);
    assert_eq!((status, body.contains(r#""withFileHash":0"#)), (200, true), "{body}");
    let rise = server.kilobytes("VmHWM").saturating_sub(before);
    let kept = server.kilobytes("VmRSS").saturating_sub(before);
    println!("memory rose by {rise} kB from {before} kB, of which {kept} kB were kept");
    assert!(rise < RISE_KB, "{rise} kB more than the {before} kB before");
    assert!(kept < RISE_KB / 2, "{kept} kB of {rise} kB were kept");
}
