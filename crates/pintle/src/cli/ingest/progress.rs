//! How far an ingest has come, on standard error when that is a terminal.

use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};

use crate::cli::terminal::count;

/// Records, records a second, bytes and the time left.
pub(super) struct Progress {
    bar: ProgressBar,
    started: Instant,
}

impl Progress {
    /// Over that many bytes; standard input has no end in sight.
    pub(super) fn over(bytes: Option<u64>) -> Progress {
        let (bar, template) = match bytes {
            Some(bytes) => (ProgressBar::new(bytes), "{bar:30}  {msg}  {bytes}/{total_bytes}  {eta} left"),
            None => (ProgressBar::no_length(), "{spinner}  {msg}  {bytes}  {elapsed}"),
        };
        bar.set_style(
            ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()),
        );
        let progress = Progress { bar, started: Instant::now() };
        progress.records(0);
        progress
    }

    /// So many bytes of the inputs, as they are, have been taken in by now.
    pub(super) fn bytes(&self, bytes: u64) {
        self.bar.set_position(bytes);
    }

    /// So many records are durable by now.
    pub(super) fn records(&self, records: u64) {
        let seconds = self.started.elapsed().as_secs_f64().max(0.001);
        let rate = (records as f64 / seconds) as u64;
        self.bar.set_message(format!("{} records  {}/s", count(records), count(rate)));
    }

    /// Takes it off the screen.
    pub(super) fn clear(&self) {
        self.bar.finish_and_clear();
    }
}
