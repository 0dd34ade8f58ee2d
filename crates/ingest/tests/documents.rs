//! Documents in bulk: each is answered in its place however the bytes come, and nothing that comes is more
//! than refused.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::io::{self, Read};

use pintle_ingest::{Action, Choice, Decoders, Documents, Error, Item, Outcome, Reading, read_documents};

const ROW: &str = r#"{"Timestamp":"2026-01-15T09:00:00Z","DeviceId":"4444444444444444444444444444444444444444","ActionType":"FileCreated","ReportId":1}"#;

/// Gives few bytes at a time.
struct Slow<'b>(&'b [u8], usize);

impl Read for Slow<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.1.min(self.0.len()).min(buffer.len());
        let (now, later) = self.0.split_at(count);
        buffer[..count].copy_from_slice(now);
        self.0 = later;
        Ok(count)
    }
}

/// What was answered: the action, `_index`, `_id` and the reason of each; the offsets of what was kept aside.
type Answered = (Vec<(Action, Option<String>, Option<String>, String)>, Vec<u64>);

fn answered(documents: Documents, input: impl Read) -> Result<Answered, Error> {
    let (mut items, mut offsets) = (Vec::new(), Vec::new());
    let answers = &mut |item: Item<'_>| {
        let said = match item.outcome {
            Outcome::Taken => "taken",
            Outcome::KeptAside(reason) | Outcome::NotDone(reason) => reason,
        };
        let owned = |text: Option<&str>| text.map(str::to_owned);
        items.push((item.action, owned(item.index), owned(item.id), said.to_owned()));
        Ok(())
    };
    let choice = Choice::Each(Decoders::default());
    let deliver = &mut |_, aside: Vec<pintle_store::Reject>| {
        offsets.extend(aside.iter().map(|reject| reject.offset));
        Ok(())
    };
    read_documents(documents, input, Reading::of("test", choice), answers, deliver, &mut |_| {})?;
    Ok((items, offsets))
}

#[test]
fn each_is_answered_in_its_place_however_many_bytes_come_at_once() {
    let input = format!(
        "\n{{\"index\":{{\"_index\":\"a\",\"_type\":\"_doc\"}}}}\r\n{ROW}\r\n \n{{\"create\":{{\"_id\":\"\\u00e9\"}}}}\n{{}}\n{{\"delete\":{{}}}}\n{{\"index\":{{}}}}\n{ROW}"
    );
    let kept_aside_at = input.find("\n{}\n").unwrap() as u64 + 1;
    for at_once in [1, 7, input.len()] {
        let (items, offsets) = answered(Documents::Bulk, Slow(input.as_bytes(), at_once)).unwrap();
        let names: Vec<_> = items.iter().map(|item| item.0.name()).collect();
        assert_eq!(names, ["index", "create", "delete", "index"]);
        assert_eq!((items[0].1.as_deref(), items[0].3.as_str()), (Some("a"), "taken"));
        assert_eq!((items[1].2.as_deref(), items[1].3.as_str()), (Some("é"), "of no known format"));
        assert!(items[2].3.contains("only added"), "{}", items[2].3);
        assert_eq!(items[3].3, "taken");
        assert_eq!(offsets, [kept_aside_at]);
    }
}

#[test]
fn what_is_no_bulk_request_is_refused_and_no_bytes_do_more_harm() {
    let good = format!("{{\"index\":{{}}}}\n{ROW}\n");
    for bad in
        ["{}", "[]", "1", r#"{"index":[]}"#, r#"{"what":{}}"#, "\u{0}", "{\"index\":{}", &"[".repeat(100_000)]
    {
        for input in [format!("{bad}\n{good}"), format!("{good}{bad}")] {
            let error = answered(Documents::Bulk, input.as_bytes()).unwrap_err();
            assert!(matches!(error, Error::Malformed(_)), "{bad}: {error}");
        }
    }
    // Any byte of a good one exchanged for another.
    let one = format!("{good}{{\"create\":{{\"_id\":\"x\"}}}}\n{{\"message\":\"{{}}\"}}\n").into_bytes();
    for place in 0..one.len() {
        for byte in [0, b'\n', b'"', b'{', 0x80, 0xff] {
            let mut bytes = one.clone();
            bytes[place] = byte;
            match answered(Documents::Bulk, &bytes[..]) {
                Ok((items, _)) => assert!(items.len() <= 4, "{place} {byte}"),
                Err(error) => assert!(matches!(error, Error::Malformed(_)), "{place} {byte}: {error}"),
            }
            let (items, _) = answered(Documents::One(Action::Index), &bytes[..]).unwrap();
            assert_eq!(items.len(), 1);
        }
    }
}
