//! Tar: a header of 512 bytes and the data, one member after the other. What extends a header (long names)
//! is read here and not by the library, which would hold as much of it as an archive claims to have.

use std::io::{self, Read};

use tar::{Archive, Entry, EntryType, PaxExtensions};

use super::{DAMAGED, HEAD, Member, Visit};
use crate::error::Stop;
use crate::read::counts::Counts;

/// How much of what extends a header is read.
const MAX_EXTENSION: u64 = 64 * 1024;

const SPARSE: &str = "a sparse file: such are not read";
const SPARSE_END: &str = "a sparse file: what comes after it in the archive is not read";
const TOO_LARGE: &str = "larger than 8 GiB: what comes after it in the archive is not read";

/// Whether these bytes begin with a member's header: its checksum is right.
pub fn is_header(head: &[u8]) -> bool {
    let Some(header) = head.get(..HEAD) else { return false };
    let is_checksum = |place: usize| (148..156).contains(&place);
    let byte = |(place, byte): (usize, &u8)| u64::from(if is_checksum(place) { b' ' } else { *byte });
    let sum: u64 = header.iter().enumerate().map(byte).sum();
    let told = header.get(148..156).unwrap_or_default();
    let digits = std::str::from_utf8(told).unwrap_or_default().trim_matches([' ', '\0']);
    // A name comes first: bytes that are no text can have the right sum by chance.
    header.first().is_some_and(|first| *first != 0) && u64::from_str_radix(digits, 8) == Ok(sum)
}

/// What the headers before a member's own say of it.
#[derive(Default)]
struct Extended {
    name: Option<Vec<u8>>,
    size: Option<u64>,
    is_sparse: bool,
}

/// Hands the files of an archive to `visit`.
pub fn members(input: &mut dyn Read, counts: &Counts, visit: &mut Visit<'_>) -> Result<(), Stop> {
    let mut failure = None;
    let mut archive = Archive::new(Told { input, failure: &mut failure });
    let ended = walk(&mut archive, visit);
    // What fills up the last block is not looked at.
    let ended = ended.and_then(|()| Ok(io::copy(&mut archive.into_inner(), &mut io::sink()).map(drop)?));
    match (ended, failure) {
        (Err(Stop::Input(error)), _) if counts.is_over() => Err(Stop::Input(error)),
        (Err(Stop::Input(_)), Some(error)) => Err(Stop::Input(error)),
        // The library does not understand what it read.
        (Err(Stop::Input(_)), None) => visit(Member::End(DAMAGED)),
        (ended, _) => ended,
    }
}

fn walk<R: Read>(archive: &mut Archive<R>, visit: &mut Visit<'_>) -> Result<(), Stop> {
    let mut extended = Extended::default();
    for entry in archive.entries()?.raw(true) {
        let mut entry = entry?;
        match entry.header().entry_type() {
            EntryType::GNULongName => extended.name = Some(read_extension(&mut entry)?),
            EntryType::XHeader => read_pax(&mut entry, &mut extended)?,
            EntryType::GNULongLink | EntryType::XGlobalHeader => {}
            kind => {
                let of = std::mem::take(&mut extended);
                if !member(&mut entry, kind, &of, visit)? {
                    return Ok(());
                }
            }
        }
    }
    Ok(())
}

/// `false`: nobody knows where the next one begins.
fn member<R: Read>(
    entry: &mut Entry<'_, R>,
    kind: EntryType,
    of: &Extended,
    visit: &mut Visit<'_>,
) -> Result<bool, Stop> {
    let name = super::name(of.name.as_deref().unwrap_or(&entry.path_bytes()));
    if of.size.is_some_and(|size| size != entry.size()) {
        visit(Member::Unreadable(name, TOO_LARGE))?;
        return Ok(false);
    }
    if kind.is_gnu_sparse() {
        let is_extended = entry.header().as_gnu().is_none_or(|header| header.is_extended());
        visit(Member::Unreadable(name, if is_extended { SPARSE_END } else { SPARSE }))?;
        return Ok(!is_extended);
    }
    // Folders, links and devices have no bytes of their own.
    if !(kind.is_file() || kind.is_contiguous()) || name.ends_with('/') || super::is_left_out(&name) {
        return Ok(true);
    }
    if of.is_sparse {
        visit(Member::Unreadable(name, SPARSE))?;
    } else {
        visit(Member::File(name, entry))?;
    }
    Ok(true)
}

fn read_extension<R: Read>(entry: &mut Entry<'_, R>) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    entry.take(MAX_EXTENSION).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn read_pax<R: Read>(entry: &mut Entry<'_, R>, extended: &mut Extended) -> io::Result<()> {
    let bytes = read_extension(entry)?;
    for pair in PaxExtensions::new(&bytes).map_while(Result::ok) {
        match pair.key_bytes() {
            b"path" => extended.name = Some(pair.value_bytes().to_vec()),
            b"size" => extended.size = pair.value().ok().and_then(|size| size.parse().ok()),
            key if key.starts_with(b"GNU.sparse.") => extended.is_sparse = true,
            _ => {}
        }
    }
    Ok(())
}

/// Tells afterwards whether it was the input that failed.
struct Told<'t> {
    input: &'t mut dyn Read,
    failure: &'t mut Option<io::Error>,
}

impl Read for Told<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.input.read(buffer).inspect_err(|error| {
            if error.kind() != io::ErrorKind::Interrupted {
                *self.failure = Some(io::Error::new(error.kind(), error.to_string()));
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_told_by_its_checksum() {
        let mut header = tar::Header::new_old();
        header.set_path("a.json").unwrap();
        header.set_size(3);
        header.set_cksum();
        assert!(is_header(header.as_bytes()));
        let mut wrong = *header.as_bytes();
        wrong[0] = b'b';
        assert!(!is_header(&wrong));
        for none in [&[0; 512][..], &[b' '; 512], &[b'{'; 600], b"a", b""] {
            assert!(!is_header(none));
        }
    }
}
