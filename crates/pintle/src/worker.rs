//! The processes that parse what is not text ([`pintle_ingest::Workers`]): this program once more, as
//! `pintle worker`, one for an input. It gives up what it does not need before it reads a byte: other
//! files, the network, its environment, memory and time beyond what an input may take. What hangs,
//! crashes or asks for all memory there costs that input and not the server.
//!
//! A start costs two or three milliseconds of a processor, no more than the file's own way in, so none
//! is kept for the next input: what one input does to its worker, no other tenant's meets.

mod confined;

use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt as _, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus};
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread::sleep;
use std::time::Duration;

use pintle_ingest::{Layout, Worker, Workers};

pub use confined::main;

/// The word that makes this program a worker. It is no command for people.
pub const COMMAND: &str = "worker";

/// Workers at once: twice as many as bodies of telemetry are read at once, so that these do not keep
/// those waiting who put in files.
const AT_ONCE: usize = 8;
/// How long a worker may say nothing, or take nothing, when it is its turn.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long one that has ended its speech may take to end itself.
const ENDING: Duration = Duration::from_secs(1);
/// Bytes of its own words that are looked at.
const WORDS: u64 = 4096;

/// Starts workers, so many at once and no more.
pub struct Processes {
    program: PathBuf,
    memory: Option<u64>,
    patience: Duration,
    free: Mutex<usize>,
    freed: Condvar,
}

impl Default for Processes {
    /// Of the program that runs, also when its file has been replaced.
    fn default() -> Processes {
        Processes::of("/proc/self/exe")
    }
}

impl Processes {
    /// Of that program, for processes that are not `pintle` themselves.
    pub fn of(program: impl Into<PathBuf>) -> Processes {
        Processes {
            program: program.into(),
            memory: None,
            patience: PATIENCE,
            free: Mutex::new(AT_ONCE),
            freed: Condvar::new(),
        }
    }

    /// With so many bytes of memory for each, whatever it reads.
    pub fn with_memory(self, memory: u64) -> Processes {
        Processes { memory: Some(memory), ..self }
    }

    /// With so much patience for one that says nothing.
    pub fn with_patience(self, patience: Duration) -> Processes {
        Processes { patience, ..self }
    }

    fn place(&self) -> Place<'_> {
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let mut free = self.freed.wait_while(free, |free| *free == 0).unwrap_or_else(PoisonError::into_inner);
        *free -= 1;
        Place(self)
    }
}

/// One of the places for workers; dropping it makes it free.
struct Place<'p>(&'p Processes);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        *self.0.free.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.0.freed.notify_one();
    }
}

impl Workers for Processes {
    fn start(&self, layout: Layout) -> io::Result<Box<dyn Worker + '_>> {
        let place = self.place();
        let (pipe, its_pipe) = UnixStream::pair()?;
        pipe.set_read_timeout(Some(self.patience))?;
        pipe.set_write_timeout(Some(self.patience))?;
        let (words, its_words) = UnixStream::pair()?;
        words.set_nonblocking(true)?;
        let memory = self.memory.unwrap_or(layout.memory());
        let child = Command::new(&self.program)
            .arg0("pintle")
            .args([COMMAND, layout.name(), &memory.to_string()])
            .env_clear()
            .current_dir("/")
            // Who interrupts a command from the keyboard means the command, which then ends its worker.
            .process_group(0)
            .stdin(OwnedFd::from(its_pipe.try_clone()?))
            .stdout(OwnedFd::from(its_pipe))
            .stderr(OwnedFd::from(its_words))
            .spawn()?;
        Ok(Box::new(Process { child, pipe, words, layout, is_slow: false, _place: place }))
    }
}

/// A worker, which ends when this is dropped. The thread that started it must live as long: the system
/// ends it with that.
struct Process<'p> {
    child: Child,
    pipe: UnixStream,
    /// What it writes on standard error.
    words: UnixStream,
    layout: Layout,
    /// Whether it was waited for in vain.
    is_slow: bool,
    _place: Place<'p>,
}

impl Process<'_> {
    fn noting<T>(&mut self, done: io::Result<T>) -> io::Result<T> {
        if let Err(error) = &done {
            self.is_slow |= matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut);
        }
        done
    }

    /// How it ended, which is waited for as long as it may take.
    fn status(&mut self) -> io::Result<ExitStatus> {
        let step = Duration::from_millis(10);
        let mut waited = Duration::ZERO;
        while !self.is_slow && waited < ENDING {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            sleep(step);
            waited += step;
        }
        self.child.kill()?;
        self.child.wait()
    }
}

impl Read for Process<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.pipe.read(buffer);
        self.noting(read)
    }
}

impl Write for Process<'_> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let written = self.pipe.write(buffer);
        self.noting(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.pipe.flush()
    }
}

impl Worker for Process<'_> {
    fn end(&mut self) -> String {
        let status = self.status();
        let mut words = Vec::new();
        // What it wrote is there, and more than that is not waited for: that this would block is the end.
        let _ = Read::by_ref(&mut self.words).take(WORDS).read_to_end(&mut words);
        let words = String::from_utf8_lossy(&words);
        let became = became(&status, self.is_slow, &words);
        tracing::warn!(
            layout = self.layout.name(),
            status = ?status,
            said = words.trim(),
            "a worker was lost, and its input ends there: {became}"
        );
        became
    }
}

/// What became of a worker that ended so and wrote such words.
fn became(status: &io::Result<ExitStatus>, is_slow: bool, words: &str) -> String {
    const TIME_IS_UP: i32 = rustix::process::Signal::XCPU.as_raw();
    let signal = status.as_ref().ok().and_then(ExitStatusExt::signal);
    match signal {
        _ if is_slow => "its reader took too long".to_owned(),
        Some(TIME_IS_UP) => "its reader took too long".to_owned(),
        // The words of Rust's own run time, before it ends the process.
        _ if words.contains("memory allocation of") => "its reader ran out of memory".to_owned(),
        _ if words.contains("overflowed its stack") => "its reader ran out of stack".to_owned(),
        Some(signal) => format!("its reader was killed (signal {signal})"),
        None => "its reader failed".to_owned(),
    }
}

impl Drop for Process<'_> {
    fn drop(&mut self) {
        // It has ended already, or ends now: there is nothing else to be done.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_became_of_a_worker_is_told_from_its_end_and_its_words() {
        let out_of_memory = "memory allocation of 17179869180 bytes failed";
        let out_of_stack = "thread 'main' (1) has overflowed its stack";
        for (raw, is_slow, words, told) in [
            (9, true, "", "its reader took too long"),
            (24, false, "", "its reader took too long"),
            (6, false, out_of_memory, "its reader ran out of memory"),
            (6, false, out_of_stack, "its reader ran out of stack"),
            (9, false, "", "its reader was killed (signal 9)"),
            (101 << 8, false, "thread 'main' panicked", "its reader failed"),
            (0, false, "", "its reader failed"),
        ] {
            assert_eq!(became(&Ok(ExitStatus::from_raw(raw)), is_slow, words), told);
        }
        assert_eq!(became(&Err(io::ErrorKind::NotFound.into()), false, ""), "its reader failed");
    }
}
