//! Generated telemetry as text, in the formats that `pintle ingest` reads, with the shapes and the
//! habits that their real senders have.
//!
//! Each format carries what its sender knows: Defender's carry every row with both of its hashes,
//! Windows events only what Sysmon and the security log write, osquery what its queries ask for,
//! `mde-alerts` only alerts.

mod alerts;
mod event;
mod hunting;
mod osquery;
mod windows;

use pintle_model::Record;

use super::generator::Chance;

/// What a format makes of one record: any number of lines, none for what its sender never sends.
type Write = fn(&Record, &mut Sender, &mut Vec<u8>) -> serde_json::Result<()>;

/// The formats by their name on the command line.
const FORMATS: &[(&str, Write)] = &[
    ("mde-streaming", hunting::streaming),
    ("mde-hunting", hunting::rows),
    ("mde-alerts", alerts::alerts),
    ("sysmon-json", windows::flat),
    ("winlogbeat6", windows::winlogbeat6),
    ("winlogbeat7", windows::winlogbeat7),
    ("evtx", windows::evtx),
    ("azure-windowsevent", windows::azure),
    ("sysmon-linux-syslog", windows::linux),
    ("wazuh", windows::wazuh),
    ("osquery", osquery::results),
];

/// The tenant that records name; whose they are is decided by who sends them.
const TENANT: &str = "00000000-0000-4000-8000-000000000001";

/// Writes records in one format. One in a thousand lines is cut off, as if the connection broke,
/// and comes again whole.
pub struct Writer {
    write: Write,
    sender: Sender,
    line: Vec<u8>,
    malformed: u64,
}

/// What a format needs to know beside the record.
struct Sender {
    chance: Chance,
}

impl Sender {
    /// What stands where a format names the host: the machine, or in 1 % the collector.
    fn host<'a>(&mut self, machine: &'a str) -> &'a str {
        if self.chance.happens(0.01) { "collector.tillerworks.example" } else { machine }
    }
}

impl Writer {
    /// The names of the formats that can be written.
    pub fn formats() -> impl Iterator<Item = &'static str> {
        FORMATS.iter().map(|(name, _)| *name)
    }

    /// A writer of the named format. The same seed and records give the same bytes.
    pub fn new(format: &str, seed: u64) -> Option<Writer> {
        let (_, write) = FORMATS.iter().find(|(name, _)| *name == format)?;
        let sender = Sender { chance: Chance::of(seed, format, 0) };
        Some(Writer { write: *write, sender, line: Vec::new(), malformed: 0 })
    }

    /// Appends a record, if the format has any such.
    ///
    /// # Errors
    ///
    /// None that are known: texts and numbers can always be written as JSON.
    pub fn write(&mut self, record: &Record, out: &mut Vec<u8>) -> serde_json::Result<()> {
        self.line.clear();
        (self.write)(record, &mut self.sender, &mut self.line)?;
        if !self.line.is_empty() && self.sender.chance.happens(0.001) {
            // Cut off among the first line's names, so that nothing after it can complete it.
            let cut = self.line.get(..1 + self.sender.chance.below(8)).unwrap_or_default();
            out.extend_from_slice(cut);
            out.push(b'\n');
            self.malformed += 1;
        }
        out.extend_from_slice(&self.line);
        Ok(())
    }

    /// How many cut-off lines were put in.
    pub fn malformed(&self) -> u64 {
        self.malformed
    }
}

#[cfg(test)]
mod tests;
