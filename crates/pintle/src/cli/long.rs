//! Work that takes long: on a thread of its own, with a bar on standard error when that is a
//! terminal.

use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};
use pintle_store::{BackedUp, Progress};

use super::terminal::count;

/// How far it has come.
#[derive(Clone)]
pub(super) struct Bar(ProgressBar);

impl Bar {
    /// `done` says what the bytes are that it counts.
    pub(super) fn new(done: &'static str) -> Bar {
        let bar = ProgressBar::new(0);
        let style = ProgressStyle::with_template("{bar:30}  {bytes}/{total_bytes} {msg}  {eta} left");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.set_message(done);
        Bar(bar)
    }

    pub(super) fn show(&self, progress: Progress) {
        self.0.set_length(progress.bytes_total);
        self.0.set_position(progress.bytes);
    }

    /// Takes it off the screen.
    pub(super) fn clear(&self) {
        self.0.finish_and_clear();
    }
}

/// Does what blocks.
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
    }
}

/// How much a backup holds, and how long that took.
pub(super) fn amount(backup: &BackedUp, began: Instant) -> String {
    let (files, bytes) = (count(backup.files), count(backup.bytes));
    format!("{files} files of {bytes} bytes in {:.1} s", began.elapsed().as_secs_f64())
}
