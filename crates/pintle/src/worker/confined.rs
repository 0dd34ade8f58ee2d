//! The worker's side: gives up what it does not need, then does what it is there for.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::AsFd as _;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

use pintle_ingest::Layout;
use rustix::process::{DumpableBehavior, Resource, Rlimit, Signal};

/// Seconds of a processor that an input may take.
const SECONDS: u64 = 600;

/// Runs `pintle worker LAYOUT MEMORY`: reads an input of that layout on standard input and says on
/// standard output what is in it, as [`pintle_ingest::work`] does, in so many bytes of memory.
pub fn main(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<String> = arguments.filter_map(|argument| argument.into_string().ok()).collect();
    let [layout, memory] = arguments.as_slice() else { return unusable() };
    let (Some(layout), Ok(memory)) = (Layout::binary(layout), memory.parse()) else { return unusable() };
    match run(layout, memory) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody may be there to read it, and then it matters to nobody.
            let _ = writeln!(io::stderr(), "{error}");
            ExitCode::FAILURE
        }
    }
}

fn unusable() -> ExitCode {
    eprintln!("pintle starts this command by itself, for telemetry that is not text");
    ExitCode::from(2)
}

fn run(layout: Layout, memory: u64) -> io::Result<()> {
    let mut input = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let mut output = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    confine(memory)?;
    // One panic tells enough, and words that nobody reads would end in waiting for who reads them.
    let has_said = AtomicBool::new(false);
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !has_said.swap(true, Ordering::Relaxed) {
            print(panic);
        }
    }));
    pintle_ingest::work(layout, &mut input, &mut output)
}

/// Gives up all but the descriptors that are open. Whatever of it the system refuses, the worker does not
/// start.
fn confine(memory: u64) -> io::Result<()> {
    // Should memory run out, the system ends this process before the server. Where it cannot be told so,
    // the limit below still holds.
    let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
    // It ends with its owner; with one that is gone by now, at the end of its input, which is near.
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    rustix::thread::set_no_new_privs(true)?;
    // Telemetry is in its memory: neither written to a core file nor shown to a debugger.
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    for (resource, most) in [
        // No file, socket or pipe beside the three that are open.
        (Resource::Nofile, 0),
        (Resource::Nproc, 0),
        (Resource::Fsize, 0),
        (Resource::Core, 0),
        (Resource::As, memory),
    ] {
        rustix::process::setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })?;
    }
    // A while between the two, or its end would not tell the one from the other.
    let seconds = Rlimit { current: Some(SECONDS), maximum: Some(SECONDS + 5) };
    Ok(rustix::process::setrlimit(Resource::Cpu, seconds)?)
}
