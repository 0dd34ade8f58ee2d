//! Event logs in the making (MS-EVEN6, and the chunks around it as libevtx documents them): a header,
//! chunks of 64 KiB, records of binary XML in them. Sizes that a reader can do without are 0.

/// Bytes of a log's header.
pub const HEADER: usize = 4096;
/// Bytes of a chunk.
pub const CHUNK: usize = 65536;
/// Where the records of a chunk begin.
pub const RECORDS: usize = 512;

/// Types of values.
pub const TEXT: u8 = 0x01;
pub const XML: u8 = 0x21;

/// A log of these chunks.
pub fn log(chunks: &[Vec<u8>]) -> Vec<u8> {
    let mut header = b"ElfFile\0".to_vec();
    let count = chunks.len();
    header.extend(0_u64.to_le_bytes());
    header.extend((count.saturating_sub(1) as u64).to_le_bytes());
    header.extend(1_u64.to_le_bytes());
    header.extend(128_u32.to_le_bytes());
    header.extend([1_u16, 3, HEADER as u16, count as u16].map(u16::to_le_bytes).concat());
    header.resize(HEADER, 0);
    let checksum = crc32(&header[..120]);
    header[124..128].copy_from_slice(&checksum.to_le_bytes());
    [vec![header], chunks.to_vec()].concat().concat()
}

/// The CRC-32 of zip and of event logs.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |sum: u32, bit: u32| (sum >> 1) ^ (0xedb8_8320 & 0_u32.wrapping_sub((sum ^ bit) & 1));
    !bytes.iter().fold(!0, |sum, byte| (0..8).fold(sum, |sum, bit| step(sum, u32::from(byte >> bit) & 1)))
}

/// A chunk being filled.
pub struct Chunk {
    /// What is in it so far; its header is written at the end.
    pub bytes: Vec<u8>,
    first: u64,
    next: u64,
    last_at: usize,
    names: Vec<(String, u32)>,
}

impl Chunk {
    /// An empty chunk whose first record has this number.
    pub fn from(first: u64) -> Chunk {
        Chunk { bytes: vec![0; RECORDS], first, next: first, last_at: RECORDS, names: Vec::new() }
    }

    /// A chunk with so many events.
    pub fn of(first: u64, events: u64) -> Chunk {
        (0..events).fold(Chunk::from(first), |chunk, _| chunk.event())
    }

    /// Adds an event as Windows would write it, but without a template; its kind is its number.
    pub fn event(self) -> Chunk {
        let number = self.next;
        self.record(|xml| {
            xml.open("Event", &[]).open("System", &[]);
            xml.open("Provider", &[("Name", "Pintle-Test")]).close();
            xml.leaf("EventID", &number.to_string());
            xml.open("TimeCreated", &[("SystemTime", "2026-01-15T09:30:00.0000000Z")]).close();
            xml.leaf("Channel", "System").leaf("Computer", "ws-1.corp.example").close();
            xml.open("EventData", &[])
                .open("Data", &[("Name", "Text")])
                .text("a text")
                .close()
                .close()
                .close();
        })
    }

    /// Adds a record of this binary XML.
    pub fn record(mut self, write: impl FnOnce(&mut Xml<'_>)) -> Chunk {
        let begin = self.bytes.len();
        self.last_at = begin;
        self.bytes.extend(b"**\0\0\0\0\0\0");
        self.bytes.extend(self.next.to_le_bytes());
        self.bytes.extend(133_000_000_000_000_000_u64.to_le_bytes());
        self.bytes.extend([0x0f, 1, 1, 0]);
        write(&mut Xml { bytes: &mut self.bytes, names: &mut self.names, in_template: false });
        self.bytes.push(0);
        let size = (self.bytes.len() + 4 - begin) as u32;
        self.bytes.extend(size.to_le_bytes());
        self.bytes[begin + 4..begin + 8].copy_from_slice(&size.to_le_bytes());
        self.next += 1;
        self
    }

    /// Where its last record begins.
    pub fn last_at(&self) -> usize {
        self.last_at
    }

    /// The whole chunk.
    pub fn done(mut self) -> Vec<u8> {
        let free = self.bytes.len();
        assert!(free <= CHUNK, "{free} bytes do not fit");
        let mut header = b"ElfChnk\0".to_vec();
        let last = self.next - 1;
        header.extend([self.first, last, self.first, last].map(u64::to_le_bytes).concat());
        header.extend([128, self.last_at as u32, free as u32].map(u32::to_le_bytes).concat());
        header.extend(crc32(&self.bytes[RECORDS..free]).to_le_bytes());
        header.resize(RECORDS, 0);
        let checksum = crc32(&[&header[..120], &header[128..]].concat());
        header[124..128].copy_from_slice(&checksum.to_le_bytes());
        self.bytes[..RECORDS].copy_from_slice(&header);
        self.bytes.resize(CHUNK, 0);
        self.bytes
    }
}

/// Binary XML being written.
pub struct Xml<'a> {
    /// Of the whole chunk, since offsets count from there.
    pub bytes: &'a mut Vec<u8>,
    names: &'a mut Vec<(String, u32)>,
    in_template: bool,
}

impl Xml<'_> {
    /// Begins an element.
    pub fn open(&mut self, name: &str, attributes: &[(&str, &str)]) -> &mut Self {
        self.bytes.push(if attributes.is_empty() { 0x01 } else { 0x41 });
        if self.in_template {
            self.bytes.extend(0xffff_u16.to_le_bytes());
        }
        self.bytes.extend(0_u32.to_le_bytes());
        self.name(name);
        if !attributes.is_empty() {
            self.bytes.extend(0_u32.to_le_bytes());
        }
        for (name, value) in attributes {
            self.bytes.push(0x06);
            self.name(name);
            self.text(value);
        }
        self.bytes.push(0x02);
        self
    }

    /// Refers to a name, which is written where it is first needed.
    pub fn name(&mut self, name: &str) -> &mut Self {
        if let Some((_, at)) = self.names.iter().find(|(known, _)| known == name) {
            self.bytes.extend(at.to_le_bytes());
            return self;
        }
        let at = self.bytes.len() as u32 + 4;
        self.names.push((name.to_owned(), at));
        self.bytes.extend(at.to_le_bytes());
        let units: Vec<u16> = name.encode_utf16().collect();
        self.raw_name(0, units.len() as u16, &units)
    }

    /// A name as it lies in the table of names.
    pub fn raw_name(&mut self, next: u32, length: u16, units: &[u16]) -> &mut Self {
        self.bytes.extend(next.to_le_bytes());
        self.bytes.extend(0_u16.to_le_bytes());
        self.bytes.extend(length.to_le_bytes());
        self.bytes.extend(units.iter().flat_map(|unit| unit.to_le_bytes()));
        self.bytes.extend(0_u16.to_le_bytes());
        self
    }

    /// Text in an element or an attribute.
    pub fn text(&mut self, text: &str) -> &mut Self {
        let units: Vec<u16> = text.encode_utf16().collect();
        self.raw_text(units.len() as u16, &units)
    }

    /// Text, well-formed or not, that says it has this length.
    pub fn raw_text(&mut self, length: u16, units: &[u16]) -> &mut Self {
        self.bytes.extend([0x05, TEXT]);
        self.bytes.extend(length.to_le_bytes());
        self.bytes.extend(units.iter().flat_map(|unit| unit.to_le_bytes()));
        self
    }

    /// Ends an element.
    pub fn close(&mut self) -> &mut Self {
        self.bytes.push(0x04);
        self
    }

    /// An element with a text.
    pub fn leaf(&mut self, name: &str, text: &str) -> &mut Self {
        self.open(name, &[]).text(text).close()
    }

    /// An instance of the template that is defined right here; the values follow ([`Xml::values`]).
    /// Gives where the definition begins.
    pub fn template(&mut self, write: impl FnOnce(&mut Xml<'_>)) -> u32 {
        let at = self.bytes.len() as u32 + 10;
        self.instance(at);
        self.bytes.extend([0; 20]);
        let size_at = self.bytes.len();
        self.bytes.extend([0; 4]);
        self.bytes.extend([0x0f, 1, 1, 0]);
        write(&mut Xml { bytes: &mut *self.bytes, names: &mut *self.names, in_template: true });
        self.bytes.push(0);
        let size = (self.bytes.len() - size_at - 4) as u32;
        self.bytes[size_at..size_at + 4].copy_from_slice(&size.to_le_bytes());
        at
    }

    /// An instance of the template that is defined there; the values follow.
    pub fn instance(&mut self, definition: u32) -> &mut Self {
        self.bytes.extend([0x0c, 1]);
        self.bytes.extend([1, definition].map(u32::to_le_bytes).concat());
        self
    }

    /// In a template: a place for a value.
    pub fn place(&mut self, number: u16, kind: u8) -> &mut Self {
        self.bytes.push(0x0d);
        self.bytes.extend(number.to_le_bytes());
        self.bytes.push(kind);
        self
    }

    /// The values of an instance.
    pub fn values(&mut self, values: &[(u8, &[u8])]) -> &mut Self {
        self.bytes.extend((values.len() as u32).to_le_bytes());
        for (kind, value) in values {
            self.bytes.extend((value.len() as u16).to_le_bytes());
            self.bytes.extend([*kind, 0]);
        }
        for (_, value) in values {
            self.bytes.extend_from_slice(value);
        }
        self
    }
}
