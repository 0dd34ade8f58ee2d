//! Event logs as only an attacker or a broken disk writes them. Where a shape is one that made the
//! `evtx` crate hang, panic or take all memory, it names the issue or pull request there
//! (github.com/omerbenamram/evtx).

#![allow(dead_code, reason = "of the tests that share these each needs some")]

use super::log::{CHUNK, Chunk, HEADER, RECORDS, TEXT, XML, Xml, log};

/// A log and what must come of it.
pub struct Shape {
    /// What is wrong with it.
    pub name: String,
    /// All of it.
    pub log: Vec<u8>,
    /// The events that come out, by their kinds, which are all different.
    pub events: Vec<i64>,
    /// Why something is kept aside, in order.
    pub rejects: Vec<&'static str>,
}

const DAMAGED: &str = "damaged record or chunk of an event log";
const CUT_OFF: &str = "cut-off event log: its last records are missing";
const TOO_MUCH: &str = "event log whose records come to more than 100 times its size: reading stopped here";
const NO_OBJECT: &str = "Event is no object";
const NO_SYSTEM: &str = "Event.System is no object";

/// A log without fault, in three chunks.
pub fn sound() -> Vec<u8> {
    log(&[Chunk::of(1, 40).done(), Chunk::of(41, 40).done(), Chunk::of(81, 10).done()])
}

/// All shapes but those that are cut off.
pub fn all() -> Vec<Shape> {
    let kinds = [headers, chunk_headers, records, names, templates, nesting, texts];
    kinds.into_iter().flat_map(|kind| kind()).chain([amplified()]).collect()
}

/// A log that ends after every 512 bytes, in two chunks.
pub fn cut_off() -> Vec<Shape> {
    let mut ends = Vec::new();
    let mut chunks = Vec::new();
    for (place, first) in [1, 41].into_iter().enumerate() {
        let mut chunk = Chunk::from(first);
        for number in first..first + 40 {
            chunk = chunk.event();
            ends.push((number as i64, HEADER + place * CHUNK + chunk.bytes.len()));
        }
        chunks.push(chunk.done());
    }
    let whole = log(&chunks);
    let cut = |at: usize| {
        let events = ends.iter().filter(|(_, end)| *end <= at).map(|(number, _)| *number);
        let is_between = at >= HEADER && (at - HEADER).is_multiple_of(CHUNK);
        shape(
            &format!("cut off after {at} bytes"),
            whole[..at].to_vec(),
            events,
            if is_between { &[] } else { &[CUT_OFF] },
        )
    };
    (512..whole.len()).step_by(512).map(cut).collect()
}

/// Sound logs in which chance put other bytes in some places; always the same.
pub fn mutated(count: u64) -> Vec<Vec<u8>> {
    let with_template = Chunk::of(1, 8).record(|xml| {
        instance(xml);
        xml.values(&[(TEXT, b"a\0"), (TEXT, b"b\0")]);
    });
    let whole = log(&[with_template.done(), Chunk::of(10, 8).done()]);
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut chance = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below as u64) as usize
    };
    let mut mutated = |_| {
        let mut log = whole.clone();
        for _ in 0..1 + chance(12) {
            // Most of a chunk is free space.
            let at = HEADER + chance(2) * CHUNK + chance(6000);
            log[at] = [0, 1, 0x0c, 0x21, 0x81, 0xff, chance(256) as u8][chance(7)];
        }
        log
    };
    (0..count).map(&mut mutated).collect()
}

fn shape(name: &str, log: Vec<u8>, events: impl IntoIterator<Item = i64>, rejects: &[&'static str]) -> Shape {
    Shape { name: name.to_owned(), log, events: events.into_iter().collect(), rejects: rejects.to_vec() }
}

/// Bytes put over others.
fn with(mut bytes: Vec<u8>, at: usize, over: &[u8]) -> Vec<u8> {
    bytes[at..at + over.len()].copy_from_slice(over);
    bytes
}

/// The sound log with bytes put over others.
fn spoilt(at: usize, over: &[u8]) -> Vec<u8> {
    with(sound(), at, over)
}

/// A log of an event, the record, another event.
fn around(name: &str, rejects: &[&'static str], write: impl FnOnce(&mut Xml<'_>)) -> Shape {
    shape(name, log(&[Chunk::of(1, 1).record(write).event().done()]), [1, 3], rejects)
}

/// The file's header says what is not so.
fn headers() -> Vec<Shape> {
    let chunks = |count: u16| spoilt(42, &count.to_le_bytes());
    // The oldest chunk may be anywhere in a log that began again at its start.
    let wrapped = log(&[Chunk::of(41, 2).done(), vec![0; CHUNK], Chunk::of(1, 2).done()]);
    vec![
        shape("no chunks, says the header", chunks(0), 1..=90, &[]),
        shape("65,535 chunks, says the header", chunks(u16::MAX), 1..=90, &[]),
        shape("the first and the last chunk are far away", spoilt(8, &[0xff; 24]), 1..=90, &[]),
        shape("dirty, and with the checksum of another", spoilt(120, &[1, 0, 0, 0, 0, 0, 0, 0]), 1..=90, &[]),
        shape("all flags", spoilt(120, &[0xff; 4]), 1..=90, &[]),
        shape("rubbish instead of chunks", [&sound()[..HEADER], &[0xff; CHUNK]].concat(), [], &[DAMAGED]),
        shape("wrapped around, with an empty chunk", wrapped, [1, 2, 41, 42], &[]),
    ]
}

/// A chunk's header says what is not so.
fn chunk_headers() -> Vec<Shape> {
    let second = HEADER + CHUNK;
    let others = || (1..=40).chain(81..=90);
    let far = with(spoilt(second + 32, &[0xff; 8]), second + 48, &0xfff0_u32.to_le_bytes());
    let mut shapes = vec![
        shape("a chunk without its magic", spoilt(second, b"XXXXXXXX"), others(), &[DAMAGED]),
        shape("a dirty chunk with wrong checksums", spoilt(second + 120, &[0xff; 8]), 1..=90, &[]),
        shape("a wrong checksum of records", spoilt(second + 52, &[0xff; 4]), 1..=90, &[]),
        shape("zeros behind a chunk's magic", spoilt(second + 8, &[0; CHUNK - 8]), others(), &[]),
        shape("issue 197: free space and last record too far", far, 1..=90, &[]),
        shape("free space from 4 GiB on", spoilt(second + 48, &[0xff; 4]), 1..=90, &[]),
    ];
    for free in [0, 1, RECORDS as u32 - 1, RECORDS as u32] {
        let log = spoilt(second + 48, &free.to_le_bytes());
        shapes.push(shape(&format!("free space from {free} on"), log, others(), &[]));
    }
    for to in [1_u32, 0xffff, u32::MAX] {
        // A chunk that is damaged there is lost, but no other is.
        let log = spoilt(second + 128, &to.to_le_bytes().repeat(64));
        shapes.push(shape(&format!("a table of names at {to}"), log, others(), &[DAMAGED]));
    }
    for to in [1_u32, 384, 512, 0xffff, u32::MAX] {
        let log = spoilt(second + 384, &to.to_le_bytes().repeat(32));
        shapes.push(shape(&format!("a table of templates at {to}"), log, 1..=90, &[]));
    }
    shapes
}

/// Records that are longer or shorter than they say.
fn records() -> Vec<Shape> {
    let chunk = Chunk::of(1, 2);
    let at = HEADER + chunk.last_at();
    let whole = log(&[chunk.event().done(), Chunk::of(4, 1).done()]);
    let sized = |what: &str, size: u32| {
        shape(
            &format!("{what}: a record of {size} bytes"),
            with(whole.clone(), at + 4, &size.to_le_bytes()),
            [1, 3, 4],
            &[DAMAGED],
        )
    };
    let time = with(whole.clone(), at + 16, &[0xff; 8]);
    let numbered = with(whole.clone(), at + 8, &[0xff; 8]);
    // What follows is no record either.
    let empty = Shape { rejects: vec![DAMAGED; 2], ..sized("no longer than its header", 28) };
    vec![
        empty,
        sized("pull request 264", 0),
        sized("shorter than its header", 1),
        sized("shorter than its header", 23),
        sized("pull request 288", 3_099_113_656),
        sized("longer than the chunk", CHUNK as u32),
        sized("as long as there is", u32::MAX),
        shape("a record without its magic", with(whole.clone(), at, b"XXXX"), [1, 3, 4], &[DAMAGED]),
        shape("a record after the end of time", time, [1, 3, 4], &[DAMAGED]),
        shape("a record of the last number", numbered, [1, 2, 3, 4], &[]),
    ]
}

/// Tables of names with loops and lies.
fn names() -> Vec<Shape> {
    // Pull request 263: names that link to themselves, and to each other.
    let looped = |name: &str, links: fn(u32) -> [u32; 2]| {
        let mut chunk = Chunk::of(1, 1);
        let at = chunk.bytes.len() as u32;
        let mut bytes = Vec::new();
        for next in links(at) {
            bytes.extend(next.to_le_bytes());
            bytes.extend([0, 0, 1, 0, b'a', 0, 0, 0]);
        }
        chunk.bytes.extend(bytes);
        let free = chunk.bytes.len() as u32;
        let log = log(&[chunk.done()]);
        let log = with(log, HEADER + 128, &at.to_le_bytes().repeat(64));
        shape(name, with(log, HEADER + 48, &(free - 24).to_le_bytes()), [1], &[])
    };
    vec![
        looped("pull request 263: a name that links to itself", |at| [at, 0]),
        looped("pull request 263: two names that link to each other", |at| [at + 12, at]),
        around("pull request 294: a name of 65,535 characters", &[DAMAGED], |xml| {
            xml.bytes.extend([0x01, 0, 0, 0, 0]);
            let at = xml.bytes.len() as u32 + 4;
            xml.bytes.extend(at.to_le_bytes());
            xml.raw_name(0, u16::MAX, &[]).text("x").close();
        }),
        around("a name beyond the chunk", &[DAMAGED], |xml| {
            xml.bytes.extend([0x01, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x02, 0x04]);
        }),
        around("a name in the chunk's magic", &[NO_OBJECT], |xml| {
            xml.bytes.extend([0x01, 0, 0, 0, 0, 1, 0, 0, 0, 0x02, 0x04]);
        }),
    ]
}

/// An instance of a template with two places; the values follow.
fn instance(xml: &mut Xml<'_>) {
    xml.template(|xml| {
        xml.open("Event", &[]).place(0, TEXT).place(1, TEXT).close();
    });
}

/// Templates that contain themselves, and instances that lie about their values.
fn templates() -> Vec<Shape> {
    let counted = |count: u32, rejects: &[&'static str]| {
        around(&format!("pull request 294: {count} values"), rejects, |xml| {
            instance(xml);
            xml.bytes.extend(count.to_le_bytes());
        })
    };
    vec![
        counted(u32::MAX, &[DAMAGED]),
        counted(4097, &[DAMAGED]),
        around("issue 221: values that are longer than they say", &[NO_OBJECT], |xml| {
            instance(xml);
            xml.bytes
                .extend([2, 0, 0, 0, 1, 0, 0x08, 0, 1, 0, 0x0a, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
        }),
        around("pull request 235: a template that contains itself", &[DAMAGED], |xml| {
            let own = xml.bytes.len() as u32 + 10;
            xml.template(|xml| {
                xml.open("Event", &[]).instance(own).values(&[]).close();
            });
            xml.values(&[]);
        }),
        around("a template that is not there", &[DAMAGED], |xml| {
            xml.instance(0xfff0).values(&[]);
        }),
        around("a template beyond the chunk", &[DAMAGED], |xml| {
            xml.instance(u32::MAX).values(&[]);
        }),
    ]
}

/// Elements in elements, fragments in fragments.
fn nesting() -> Vec<Shape> {
    let fragments = |xml: &mut Xml<'_>| {
        let definition = xml.template(|xml| {
            xml.open("Event", &[]).place(0, XML).close();
        });
        let mut inner = Vec::new();
        for _ in 0..2_000 {
            let mut outer = vec![0x0f, 1, 1, 0, 0x0c, 1];
            outer.extend([1, definition, 1].map(u32::to_le_bytes).concat());
            outer.extend((inner.len() as u16).to_le_bytes());
            outer.extend([XML, 0]);
            outer.extend(inner);
            outer.push(0);
            inner = outer;
        }
        xml.values(&[(XML, &inner)]);
    };
    vec![
        around("elements 2,000 deep", &[DAMAGED], |xml| {
            (0..2_000).for_each(|_| _ = xml.open("Event", &[]));
            (0..2_000).for_each(|_| _ = xml.close());
        }),
        around("elements 2,000 deep without end", &[DAMAGED], |xml| {
            (0..2_000).for_each(|_| _ = xml.open("Event", &[]));
        }),
        around("ends without a beginning", &[DAMAGED], |xml| {
            (0..2_000).for_each(|_| _ = xml.close());
        }),
        around("fragments 2,000 deep", &[DAMAGED], fragments),
    ]
}

/// Texts that are none.
fn texts() -> Vec<Shape> {
    let text = |name: &str, rejects: &[&'static str], length: u16, units: &[u16]| {
        around(name, rejects, |xml| _ = xml.open("Event", &[]).raw_text(length, units).close())
    };
    vec![
        text("surrogates alone", &[NO_OBJECT], 3, &[0xd800, 0x61, 0xdfff]),
        text("a text that ends in half a character", &[NO_OBJECT], 1, &[0xd83d]),
        text("a text of zeros", &[NO_OBJECT], 3, &[0, 0, 0]),
        text("a text longer than the chunk", &[DAMAGED], u16::MAX, &[]),
        around("a surrogate alone in a name", &[DAMAGED], |xml| {
            xml.open("Event", &[]);
            xml.bytes.extend([0x01, 0, 0, 0, 0]);
            let at = xml.bytes.len() as u32 + 4;
            xml.bytes.extend(at.to_le_bytes());
            xml.raw_name(0, 1, &[0xdc00]);
            xml.bytes.push(0x02);
            xml.text("x").close().close();
        }),
    ]
}

/// Two chunks in which every record repeats a long name many times.
fn amplified() -> Shape {
    let chunk = |first| {
        let mut definition = 0;
        let name = "n".repeat(20_000);
        let mut chunk = Chunk::from(first).record(|xml| {
            definition = xml.template(|xml| {
                xml.open("Event", &[]);
                (0..250).for_each(|_| _ = xml.leaf(&name, ""));
                xml.close();
            });
            xml.values(&[]);
        });
        for _ in 0..20 {
            chunk = chunk.record(|xml| _ = xml.instance(definition).values(&[]));
        }
        chunk.done()
    };
    // The parser itself gives up the rest of a chunk that comes to 64 MiB.
    let rejects = [[NO_SYSTEM; 11].as_slice(), &[DAMAGED; 10], &[NO_SYSTEM; 2], &[TOO_MUCH]].concat();
    shape("a long name, repeated", log(&[chunk(1), chunk(22)]), [], &rejects)
}
