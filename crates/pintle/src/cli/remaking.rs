//! How far making the base anew has come, on standard error when that is a terminal.

use indicatif::{ProgressBar, ProgressStyle};

use super::terminal::count;

/// Bytes of archive and records.
#[derive(Clone)]
pub(super) struct Remaking(ProgressBar);

impl Remaking {
    pub(super) fn new() -> Remaking {
        let bar = ProgressBar::new(0);
        let style = ProgressStyle::with_template("{bar:30}  {msg}  {bytes}/{total_bytes}  {eta} left");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Remaking(bar)
    }

    /// So many records, so many bytes of so many.
    pub(super) fn came(&self, records: u64, bytes: u64, bytes_total: u64) {
        self.0.set_length(bytes_total);
        self.0.set_position(bytes);
        self.0.set_message(format!("{} records", count(records)));
    }

    /// Takes it off the screen.
    pub(super) fn clear(&self) {
        self.0.finish_and_clear();
    }
}
