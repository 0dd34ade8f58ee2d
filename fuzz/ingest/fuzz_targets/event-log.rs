//! Any bytes as a chunk of a Windows event log, as a worker parses it: what is asked of it is asked of the code
//! around the parser, which is others'. A panic in that is caught there, so it is none of this target's.

#![no_main]

use libfuzzer_sys::fuzz_target;
use pintle_fuzz_ingest::{check_worked, event_log};
use pintle_ingest::Layout;

/// Where the sources of what is not ours are.
const OTHERS: &str = "/registry/src/";
/// What records may come to, whatever the log has, and what one of them may be more.
const MOST: usize = (64 << 20) + (16 << 20);

fuzz_target!(
    init: {
        let ends = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            let is_others = panic.location().is_some_and(|place| place.file().contains(OTHERS));
            if !is_others {
                ends(panic);
            }
        }));
    },
    |bytes: &[u8]| {
        let Some((how, chunk)) = bytes.split_last() else { return };
        check_worked(Layout::EventLog, &event_log::of(chunk, how % 4 != 1), MOST);
    }
);
