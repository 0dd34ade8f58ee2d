//! What was taken of a source, as it is kept over a restart: a file in the data folder, written now and then while
//! much is taken. What is not in it is taken again, which changes nothing.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::instance::Instance;
use crate::private_file;

/// Whether there is something to write down, and when that was done last.
pub struct Keeping {
    pub is_changed: bool,
    written: Instant,
}

impl Keeping {
    /// Of what was just read.
    pub fn new() -> Keeping {
        Keeping { is_changed: false, written: Instant::now() }
    }

    /// Whether it was written down longer ago than this.
    pub fn is_due(&self, every: Duration) -> bool {
        self.written.elapsed() >= every
    }

    /// Writes down what was taken of the source of that name, if it changed.
    pub fn keep(&mut self, instance: &Instance, name: &str, kept: &impl Serialize) {
        if !std::mem::take(&mut self.is_changed) {
            return;
        }
        self.written = Instant::now();
        if let Err(error) = write(instance.store.folder(), name, kept) {
            self.is_changed = true;
            tracing::error!(pull = name, %error, "what was taken cannot be written: a restart takes some of it again");
        }
    }
}

fn path(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("pull.{}.json", utf8_percent_encode(name, NON_ALPHANUMERIC)))
}

/// What was kept; `None` if nothing was.
pub fn read<T: DeserializeOwned>(folder: &Path, name: &str) -> io::Result<Option<T>> {
    let kept = private_file::read(&path(folder, name))?;
    Ok(kept.map(|text| serde_json::from_slice(&text)).transpose()?)
}

/// Durable when this returns.
pub fn write(folder: &Path, name: &str, kept: &impl Serialize) -> io::Result<()> {
    private_file::replace(&path(folder, name), &serde_json::to_vec(kept)?)
}
