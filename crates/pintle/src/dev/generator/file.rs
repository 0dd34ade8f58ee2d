//! The invented files: what each is called, who made it, and its three hashes, which are those of
//! one content, so that they belong together as a real file's do.

use std::sync::Arc;

use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha256};

use super::chance::Chance;
use super::words;

/// What a file is, which decides what is seen of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Executed.
    Program,
    /// Loaded.
    Library,
    /// Created, changed, deleted.
    Document,
}

/// One content.
#[derive(Debug)]
pub(super) struct File {
    pub(super) kind: Kind,
    pub(super) name: String,
    pub(super) folder: String,
    pub(super) size: i64,
    pub(super) product: String,
    pub(super) version: String,
    /// The company that signed it, if any.
    pub(super) signer: Option<&'static str>,
    pub(super) sha1: String,
    pub(super) sha256: String,
    pub(super) md5: String,
}

impl File {
    /// The full path.
    pub(super) fn path(&self) -> String {
        format!("{}\\{}", self.folder, self.name)
    }
}

/// A file to be: what its content depends on.
pub(super) struct Draft<'a> {
    pub(super) kind: Kind,
    pub(super) name: String,
    pub(super) folder: String,
    pub(super) product: &'a str,
    pub(super) version: String,
    pub(super) signer: Option<&'static str>,
    /// Sets apart contents that are alike in everything else.
    pub(super) mark: String,
}

impl Draft<'_> {
    /// Hashes the content and draws the size.
    pub(super) fn file(self, chance: &mut Chance) -> Arc<File> {
        let content = format!(
            "a sample file of pintle dev\n{}\n{}\n{}\n{}\n",
            self.product, self.name, self.version, self.mark
        );
        let median = match self.kind {
            Kind::Program => 420_000.0,
            Kind::Library => 180_000.0,
            Kind::Document => 26_000.0,
        };
        Arc::new(File {
            kind: self.kind,
            name: self.name,
            folder: self.folder,
            size: chance.log_normal(median, 1.1) as i64 + 512,
            product: self.product.to_owned(),
            version: self.version,
            signer: self.signer,
            sha1: hex(&Sha1::digest(&content)),
            sha256: hex(&Sha256::digest(&content)),
            md5: hex(&Md5::digest(&content)),
        })
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a text cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// How often a product is renewed.
#[derive(Clone, Copy)]
pub(super) struct Cadence {
    /// Days between releases.
    pub(super) every: i64,
    /// Days over which a release spreads from the first machine to the last.
    pub(super) spread: usize,
    /// The share of files that a release replaces.
    pub(super) share: f64,
    /// The day of the first release within the window.
    pub(super) first: i64,
}

/// Something installed: the core of an operating system build, or an application.
pub(super) struct Software {
    pub(super) cadence: Cadence,
    /// By release, the oldest first; each holds as many files, in the same places.
    pub(super) releases: Vec<Vec<Arc<File>>>,
}

impl Software {
    /// The core of an operating system build: `files` of them.
    pub(super) fn core(seed: u64, number: usize, build: i64, files: usize, days: i64) -> Software {
        let mut chance = Chance::of(seed, "build", number);
        // Every 30 days 30 % of the core files are replaced, within a week.
        let cadence = Cadence { every: 30, spread: 7, share: 0.3, first: 9 };
        let product = format!("{} {build}", words::SYSTEM_PRODUCT);
        let drafts = (0..files).map(|place| {
            let (kind, name) = words::core_file(place);
            (kind, name, words::SYSTEM_FOLDER.to_owned())
        });
        let version = |release: usize| format!("10.0.{build}.{}", 1200 + 37 * release);
        let made = Made { product: &product, signer: Some(words::SYSTEM_PUBLISHER), version: &version };
        Software { cadence, releases: made.releases(drafts.collect(), cadence, days, &mut chance) }
    }

    /// The `number`th most popular application, of about `files` files.
    pub(super) fn application(seed: u64, number: usize, files: f64, days: i64) -> Software {
        let mut chance = Chance::of(seed, "application", number);
        // Every 45 days a version replaces 60 % of the files, spread over 10 days.
        let cadence = Cadence { every: 45, spread: 10, share: 0.6, first: chance.between(0, 45) };
        let product = words::application(number, &mut chance);
        let folder = format!("C:\\Program Files\\{product}");
        let files = (chance.log_normal(files, 0.6).round() as usize).max(1);
        let drafts = (0..files).map(|place| {
            let (kind, name) = words::application_file(&product, place, &mut chance);
            (kind, name, folder.clone())
        });
        let drafts = drafts.collect();
        let signer = chance.happens(0.8).then(|| chance.pick(words::PUBLISHERS));
        let major = chance.between(1, 24);
        let version = move |release: usize| format!("{major}.{release}.0");
        let made = Made { product: &product, signer, version: &version };
        Software { cadence, releases: made.releases(drafts, cadence, days, &mut chance) }
    }
}

/// What all files of a product share.
struct Made<'a> {
    product: &'a str,
    signer: Option<&'static str>,
    version: &'a dyn Fn(usize) -> String,
}

impl Made<'_> {
    fn releases(
        &self,
        drafts: Vec<(Kind, String, String)>,
        cadence: Cadence,
        days: i64,
        chance: &mut Chance,
    ) -> Vec<Vec<Arc<File>>> {
        let within_window = (days - cadence.first + cadence.every - 1).div_euclid(cadence.every).max(0);
        let mut releases: Vec<Vec<Arc<File>>> = Vec::new();
        for release in 0..=within_window as usize {
            let files = drafts.iter().enumerate().map(|(place, (kind, name, folder))| {
                let before = releases.last().and_then(|files| files.get(place));
                match before {
                    Some(file) if !chance.happens(cadence.share) => Arc::clone(file),
                    _ => Draft {
                        kind: *kind,
                        name: name.clone(),
                        folder: folder.clone(),
                        product: self.product,
                        version: (self.version)(release),
                        signer: self.signer,
                        mark: place.to_string(),
                    }
                    .file(chance),
                }
            });
            let files = files.collect();
            releases.push(files);
        }
        releases
    }
}
