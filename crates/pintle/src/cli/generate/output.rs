//! Where the text goes: a file or standard output, packed as the file's name says.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use ruzstd::encoding::{CompressionLevel, compress_to_vec};

/// So much text makes one frame of zstd: many small frames can be made and read in little memory.
const FRAME: usize = 4 << 20;

/// An output that is packed on the way.
pub(super) enum Output {
    Plain(Box<dyn Write>),
    Gzip(GzEncoder<Box<dyn Write>>),
    Zstd { out: Box<dyn Write>, frame: Vec<u8> },
}

impl Output {
    /// Standard output for `-`, else the named file, which is made anew.
    pub(super) fn create(path: &Path) -> io::Result<Output> {
        if path.as_os_str() == "-" {
            return Ok(Output::Plain(Box::new(io::stdout())));
        }
        let file = File::create(path)
            .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))?;
        let out: Box<dyn Write> = Box::new(BufWriter::with_capacity(1 << 20, file));
        Ok(match path.extension().and_then(|extension| extension.to_str()) {
            Some("gz") => Output::Gzip(GzEncoder::new(out, Compression::fast())),
            Some("zst") => Output::Zstd { out, frame: Vec::with_capacity(FRAME) },
            _ => Output::Plain(out),
        })
    }

    /// Writes all of the text on.
    pub(super) fn write_all(&mut self, text: &[u8]) -> io::Result<()> {
        match self {
            Output::Plain(out) => out.write_all(text),
            Output::Gzip(out) => out.write_all(text),
            Output::Zstd { out, frame } => {
                frame.extend_from_slice(text);
                let whole = frame.len() - frame.len() % FRAME;
                let rest = frame.split_off(whole);
                for chunk in frame.chunks(FRAME) {
                    out.write_all(&compress_to_vec(chunk, CompressionLevel::Fastest))?;
                }
                *frame = rest;
                Ok(())
            }
        }
    }

    /// Writes what is left. Without this the end is missing.
    pub(super) fn finish(self) -> io::Result<()> {
        match self {
            Output::Plain(mut out) => out.flush(),
            Output::Gzip(out) => out.finish()?.flush(),
            Output::Zstd { mut out, frame } => {
                if !frame.is_empty() {
                    out.write_all(&compress_to_vec(&frame[..], CompressionLevel::Fastest))?;
                }
                out.flush()
            }
        }
    }
}
