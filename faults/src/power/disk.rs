//! A disk with a volatile cache, as a server of the NBD protocol on a Unix socket: what was written
//! becomes durable when a flush says so. When the power goes, every call fails from then on, and
//! of each sector that was not flushed any version that was on its way may be what is left.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::chance::Chance;
use crate::report::{Outcome, While};

/// What a disk writes whole or not at all.
const SECTOR: usize = 512;
/// The longest read or write that the protocol lets a client send without asking.
const LONGEST: u32 = 32 << 20;

/// How long a flush takes, as on a real disk: without it hardly a cut would come between a write
/// and its flush.
const FLUSH: Duration = Duration::from_millis(2);

const OPTION_MAGIC: u64 = 0x4948_4156_454f_5054;
const OPTION_REPLY_MAGIC: u64 = 0x0003_e889_0455_65a9;
const REQUEST_MAGIC: u32 = 0x2560_9513;
const REPLY_MAGIC: u32 = 0x6744_6698;
/// Fixed newstyle, without the zeroes.
const HANDSHAKE_FLAGS: u16 = 1 | 2;
/// Flags are given, flushes and writes that flush are understood.
const EXPORT_FLAGS: u16 = 1 | 4 | 8;
const EIO: u32 = 5;
const EINVAL: u32 = 22;

type Sector = [u8; SECTOR];

/// How much a disk keeps of what it was not told to flush.
#[derive(Clone, Copy, Debug)]
pub enum Kept {
    /// Nothing: the cache was only in memory.
    Nothing,
    /// Of each sector any version since the last flush, or the one before.
    Some,
    /// All: the disk had no cache.
    All,
}

/// The disk. Shared by those who use it and the one who cuts its power.
#[derive(Clone)]
pub struct Disk(Arc<Mutex<Content>>);

struct Content {
    durable: Vec<u8>,
    /// Versions of sectors since the last flush, oldest first.
    cached: BTreeMap<usize, Vec<Sector>>,
    is_on: bool,
    flushes: u64,
}

impl Disk {
    /// A disk of this content.
    pub fn new(durable: Vec<u8>) -> Disk {
        Disk(Arc::new(Mutex::new(Content { durable, cached: BTreeMap::new(), is_on: true, flushes: 0 })))
    }

    fn content(&self) -> MutexGuard<'_, Content> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Flushes so far.
    pub fn flushes(&self) -> u64 {
        self.content().flushes
    }

    /// The power goes. Gives how many sectors were not flushed.
    pub fn cut(&self, kept: Kept, chance: &mut Chance) -> usize {
        let mut content = self.content();
        content.is_on = false;
        let cached = std::mem::take(&mut content.cached);
        let unflushed = cached.len();
        for (sector, versions) in cached {
            let left = match kept {
                Kept::Nothing => None,
                Kept::All => versions.last(),
                Kept::Some => versions.get(chance.below(versions.len() as u64 + 1) as usize),
            };
            if let Some(left) = left {
                content.put(sector, left);
            }
        }
        unflushed
    }

    /// The power is back.
    pub fn power_on(&self) {
        self.content().is_on = true;
    }

    /// Serves one client after the other until the socket's folder goes.
    pub fn serve(&self, socket: &Path) -> Outcome<()> {
        let listener = UnixListener::bind(socket).during("making the disk's socket")?;
        let disk = self.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                // A client that breaks off is one that was unmounted.
                let _ = disk.talk(stream);
            }
        });
        Ok(())
    }

    fn talk(&self, mut stream: UnixStream) -> io::Result<()> {
        if !self.negotiate(&mut stream)? {
            return Ok(());
        }
        while let Some(request) = Request::read(&mut stream)? {
            let answer = self.answer(&request);
            let mut reply = REPLY_MAGIC.to_be_bytes().to_vec();
            reply.extend(answer.as_ref().err().copied().unwrap_or(0).to_be_bytes());
            reply.extend(request.handle);
            reply.extend(answer.unwrap_or_default());
            stream.write_all(&reply)?;
        }
        Ok(())
    }

    /// The handshake; false if the client only asked.
    fn negotiate(&self, stream: &mut UnixStream) -> io::Result<bool> {
        const EXPORT_NAME: u32 = 1;
        const ABORT: u32 = 2;
        const GO: u32 = 7;
        const ACKNOWLEDGED: u32 = 1;
        const INFO: u32 = 3;
        const UNSUPPORTED: u32 = 0x8000_0001;
        let mut export = (self.content().durable.len() as u64).to_be_bytes().to_vec();
        export.extend(EXPORT_FLAGS.to_be_bytes());
        let greeting = [&b"NBDMAGIC"[..], &OPTION_MAGIC.to_be_bytes(), &HANDSHAKE_FLAGS.to_be_bytes()];
        stream.write_all(&greeting.concat())?;
        let _client_flags: [u8; 4] = take(stream)?;
        loop {
            if u64::from_be_bytes(take(stream)?) != OPTION_MAGIC {
                return Err(io::Error::other("no option"));
            }
            let (option, length) = (u32::from_be_bytes(take(stream)?), u32::from_be_bytes(take(stream)?));
            io::copy(&mut (&mut *stream).take(length.into()), &mut io::sink())?;
            let reply = |kind: u32, data: &[u8]| {
                let length = (data.len() as u32).to_be_bytes();
                let (magic, option) = (OPTION_REPLY_MAGIC.to_be_bytes(), option.to_be_bytes());
                [&magic[..], &option, &kind.to_be_bytes(), &length, data].concat()
            };
            match option {
                EXPORT_NAME => {
                    stream.write_all(&export)?;
                    return Ok(true);
                }
                GO => {
                    // Information of kind 0 is about the export.
                    let about = [&[0, 0], export.as_slice()].concat();
                    stream.write_all(&[reply(INFO, &about), reply(ACKNOWLEDGED, &[])].concat())?;
                    return Ok(true);
                }
                ABORT => {
                    stream.write_all(&reply(ACKNOWLEDGED, &[]))?;
                    return Ok(false);
                }
                _ => stream.write_all(&reply(UNSUPPORTED, &[]))?,
            }
        }
    }

    fn answer(&self, request: &Request) -> Result<Vec<u8>, u32> {
        if request.is_durable || matches!(request.kind, Kind::Flush) {
            std::thread::sleep(FLUSH);
        }
        let mut content = self.content();
        if !content.is_on {
            return Err(EIO);
        }
        let from = usize::try_from(request.offset).map_err(|_| EINVAL)?;
        let to = from.checked_add(request.length as usize).ok_or(EINVAL)?;
        if to > content.durable.len() || !from.is_multiple_of(SECTOR) || !to.is_multiple_of(SECTOR) {
            return Err(EINVAL);
        }
        match request.kind {
            Kind::Read => return Ok((from / SECTOR..to / SECTOR).flat_map(|nth| content.get(nth)).collect()),
            Kind::Write => content.write(from / SECTOR, &request.data),
            Kind::Flush => content.flush(),
            Kind::Unknown => return Err(EINVAL),
        }
        if request.is_durable {
            content.flush();
        }
        Ok(Vec::new())
    }
}

impl Content {
    fn get(&self, sector: usize) -> Sector {
        let durable = || self.durable.get(sector * SECTOR..)?.first_chunk().copied();
        let cached = self.cached.get(&sector).and_then(|versions| versions.last().copied());
        cached.or_else(durable).unwrap_or([0; SECTOR])
    }

    fn put(&mut self, sector: usize, bytes: &Sector) {
        if let Some(there) = self.durable.get_mut(sector * SECTOR..(sector + 1) * SECTOR) {
            there.copy_from_slice(bytes);
        }
    }

    fn write(&mut self, first: usize, data: &[u8]) {
        for (nth, bytes) in data.as_chunks().0.iter().enumerate() {
            self.cached.entry(first + nth).or_default().push(*bytes);
        }
    }

    fn flush(&mut self) {
        self.flushes += 1;
        for (sector, versions) in std::mem::take(&mut self.cached) {
            if let Some(newest) = versions.last() {
                self.put(sector, newest);
            }
        }
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Read,
    Write,
    Flush,
    Unknown,
}

struct Request {
    kind: Kind,
    /// A write that is to be durable before it is answered.
    is_durable: bool,
    handle: [u8; 8],
    offset: u64,
    length: u32,
    data: Vec<u8>,
}

impl Request {
    /// The next one; `None` at the end.
    fn read(stream: &mut UnixStream) -> io::Result<Option<Request>> {
        if u32::from_be_bytes(take(stream)?) != REQUEST_MAGIC {
            return Err(io::Error::other("no request"));
        }
        let (flags, kind) = (u16::from_be_bytes(take(stream)?), u16::from_be_bytes(take(stream)?));
        let (handle, offset) = (take(stream)?, u64::from_be_bytes(take(stream)?));
        let length = u32::from_be_bytes(take(stream)?);
        let kind = match kind {
            0 => Kind::Read,
            1 => Kind::Write,
            2 => return Ok(None),
            3 => Kind::Flush,
            _ => Kind::Unknown,
        };
        let mut data = Vec::new();
        if matches!(kind, Kind::Write) {
            if length > LONGEST {
                return Err(io::Error::other("a write that is too long"));
            }
            data.resize(length as usize, 0);
            stream.read_exact(&mut data)?;
        }
        Ok(Some(Request { kind, is_durable: flags & 1 != 0, handle, offset, length, data }))
    }
}

fn take<const N: usize>(stream: &mut UnixStream) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    stream.read_exact(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn send(disk: &Disk, kind: Kind, sector: u64, byte: u8, is_durable: bool) -> Result<Vec<u8>, u32> {
        let data = if matches!(kind, Kind::Write) { vec![byte; SECTOR] } else { Vec::new() };
        let length = if matches!(kind, Kind::Flush) { 0 } else { SECTOR as u32 };
        let offset = sector * SECTOR as u64;
        disk.answer(&Request { kind, is_durable, handle: [0; 8], offset, length, data })
    }

    fn read(disk: &Disk, sector: u64) -> u8 {
        send(disk, Kind::Read, sector, 0, false).unwrap()[0]
    }

    /// Sector 0 is flushed, 1 written durably, 2 written twice and never flushed.
    fn written() -> Disk {
        let disk = Disk::new(vec![0; 4 * SECTOR]);
        send(&disk, Kind::Write, 0, 7, false).unwrap();
        send(&disk, Kind::Flush, 0, 0, false).unwrap();
        send(&disk, Kind::Write, 1, 7, true).unwrap();
        send(&disk, Kind::Write, 2, 8, false).unwrap();
        send(&disk, Kind::Write, 2, 9, false).unwrap();
        disk
    }

    #[test]
    fn what_was_flushed_survives_a_cut_and_of_the_rest_what_chance_keeps() {
        let left_of_2 = |kept, seed| {
            let disk = written();
            assert_eq!(read(&disk, 2), 9);
            assert_eq!(disk.cut(kept, &mut Chance::from_seed(seed)), 1);
            disk.power_on();
            assert_eq!([read(&disk, 0), read(&disk, 1), read(&disk, 3)], [7, 7, 0]);
            read(&disk, 2)
        };
        let versions =
            |kept| (0..50).map(|seed| left_of_2(kept, seed)).collect::<std::collections::BTreeSet<_>>();
        assert_eq!(versions(Kept::Nothing), [0].into());
        assert_eq!(versions(Kept::Some), [0, 8, 9].into());
        assert_eq!(versions(Kept::All), [9].into());
    }

    #[test]
    fn nothing_works_without_power_and_nothing_lies_beyond_the_end() {
        let disk = written();
        assert_eq!(send(&disk, Kind::Read, 4, 0, false), Err(EINVAL));
        disk.cut(Kept::Nothing, &mut Chance::from_seed(0));
        for kind in [Kind::Read, Kind::Write, Kind::Flush] {
            assert_eq!(send(&disk, kind, 0, 1, false), Err(EIO));
        }
        disk.power_on();
        assert_eq!(read(&disk, 0), 7);
    }
}
