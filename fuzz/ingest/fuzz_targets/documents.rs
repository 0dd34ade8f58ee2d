//! Any bytes as a request of Elasticsearch's, in bulk or one document, or as messages of a queue. The last byte
//! says which. Whole and a few bytes at a time a request gives the same, and every document has its answer.

#![no_main]

use std::io::Read;

use libfuzzer_sys::fuzz_target;
use pintle_fuzz_ingest::reading::{MAX_BYTES, NoWorkers, QUICK, Trickle};
use pintle_fuzz_ingest::seeds::AND;
use pintle_ingest::{
    Action, Choice, Decoders, Documents, Item, Message, Outcome, Reading, Summary, is_packed, read_documents,
    read_messages,
};

fn reading(how: u8) -> Reading<'static> {
    let choice = match how >> 5 {
        0 => Choice::Each(Decoders::default()),
        1 => Choice::default(),
        _ => Choice::Only(QUICK.clone()),
    };
    Reading { max_bytes: MAX_BYTES, workers: Some(&NoWorkers), ..Reading::of("input", choice) }
}

/// Bytes of a piece, where an input comes in pieces too.
const PIECES: [usize; 8] = [0, 0, 0, 0, 1, 3, 17, 250];

/// What is answered; how many documents were taken, in part or whole, or kept aside; what is delivered.
#[derive(Debug, PartialEq)]
struct Said {
    answers: Vec<String>,
    documents: u64,
    delivered: usize,
    summary: Option<Summary>,
}

fn said(documents: Documents, how: u8, input: impl Read) -> Said {
    let mut said = Said { answers: Vec::new(), documents: 0, delivered: 0, summary: None };
    let mut delivered = 0;
    let answers = &mut |item: Item<'_>| {
        said.documents += u64::from(!matches!(item.outcome, Outcome::NotDone(_)));
        said.answers.push(format!("{item:?}"));
        Ok(())
    };
    let deliver = &mut |records: Vec<_>, rejects: Vec<_>| {
        delivered += records.len() + rejects.len();
        Ok(())
    };
    let summary = read_documents(documents, input, reading(how), answers, deliver, &mut |_| {});
    // How much of a packed input is read ahead is nobody's promise.
    said.summary = summary.ok().map(|summary| Summary { packed_bytes: 0, ..summary });
    said.delivered = delivered;
    said
}

fuzz_target!(|bytes: &[u8]| {
    let Some((&how, bytes)) = bytes.split_last() else { return };
    let documents = match how % 4 {
        0 | 1 => Documents::Bulk,
        2 => Documents::One(Action::Index),
        _ => return messages(bytes, how),
    };
    let whole = said(documents, how, bytes);
    let piece = PIECES[usize::from(how >> 2 & 7)];
    if piece > 0 {
        let again = said(documents, how, Trickle(bytes, piece));
        // How much is read of what is packed before its damage shows is nobody's promise.
        if !is_packed(bytes) || whole.summary.is_some() || again.summary.is_some() {
            assert_eq!(whole, again);
        }
    }
    let Some(summary) = whole.summary else { return };
    assert_eq!(whole.documents, summary.records, "as many answers as documents");
    assert!(summary.rejects() <= summary.records);
});

fn messages(bytes: &[u8], how: u8) {
    let mut rest = Some(bytes);
    let mut messages = std::iter::from_fn(|| {
        let bytes = rest?;
        let end = bytes.windows(AND.len()).position(|window| window == AND);
        rest = end.map(|end| &bytes[end + AND.len()..]);
        let value = end.map_or(bytes, |end| &bytes[..end]);
        Some(Message { name: "message".to_owned(), value })
    });
    let mut rejects = 0;
    let mut deliver = |_: Vec<_>, aside: Vec<_>| {
        rejects += aside.len() as u64;
        Ok(())
    };
    // Only what would end the next message too is an error, and without workers that is what is not text.
    if let Ok(summary) = read_messages(&mut messages, &reading(how), &mut deliver) {
        assert_eq!(summary.rejects(), rejects, "{summary:?}");
    }
}
