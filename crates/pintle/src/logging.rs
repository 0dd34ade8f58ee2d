//! Sets up the log: text for people, JSON lines for machines. Whatever hostile text gets into an
//! event, it cannot leave its line or steer a terminal.

use std::io::{self, IsTerminal, Write};

use tracing::level_filters::LevelFilter;

use crate::config::{Level, Log, LogFormat};

/// Writes events to standard error from here on. Later calls change nothing.
pub fn set_up(log: &Log) {
    let json = match log.format {
        LogFormat::Auto => !io::stderr().is_terminal(),
        LogFormat::Text => false,
        LogFormat::Json => true,
    };
    let level = match log.level {
        Level::Error => LevelFilter::ERROR,
        Level::Warn => LevelFilter::WARN,
        Level::Info => LevelFilter::INFO,
        Level::Debug => LevelFilter::DEBUG,
        Level::Trace => LevelFilter::TRACE,
    };
    let subscriber = tracing_subscriber::fmt().with_max_level(level).with_writer(|| OneLine(io::stderr()));
    // Without colours, because the writer cannot tell their escapes from an attacker's.
    let set = if json {
        let subscriber = subscriber.json().flatten_event(true).with_current_span(false);
        tracing::subscriber::set_global_default(subscriber.finish())
    } else {
        tracing::subscriber::set_global_default(subscriber.with_ansi(false).finish())
    };
    // Otherwise another is in place already, as when a test starts several servers.
    if set.is_ok() {
        std::panic::set_hook(Box::new(|panic| {
            let place = panic.location().map(ToString::to_string);
            let reason = panic.payload_as_str().unwrap_or("unknown");
            tracing::error!(place, reason, "a bug: something panicked, please report it");
        }));
    }
}

/// A writer that gets a whole event at a time, and lets no control character but the line's end
/// through: neither those of terminals nor those that turn the direction of text.
struct OneLine<W>(W);

impl<W: Write> Write for OneLine<W> {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        let (line, end) = match text.strip_suffix('\n') {
            Some(line) => (line, "\n"),
            None => (&*text, ""),
        };
        if line.chars().any(is_unruly) {
            let mut escaped = String::with_capacity(line.len() + 16);
            for c in line.chars() {
                if is_unruly(c) {
                    // The form that JSON has for it, so that JSON stays JSON.
                    escaped.push_str(&format!("\\u{:04x}", u32::from(c)));
                } else {
                    escaped.push(c);
                }
            }
            self.0.write_all(format!("{escaped}{end}").as_bytes())?;
        } else {
            self.0.write_all(text.as_bytes())?;
        }
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

fn is_unruly(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_stays_on_its_line_and_cannot_steer_a_terminal() {
        let mut written = Vec::new();
        let event = "file a\nforged line\u{1b}[2J\u{9b}x\u{202e}fdp.exe\n";
        OneLine(&mut written).write_all(event.as_bytes()).unwrap();
        let expected = "file a\\u000aforged line\\u001b[2J\\u009bx\\u202efdp.exe\n";
        assert_eq!(String::from_utf8(written).unwrap(), expected);
    }
}
