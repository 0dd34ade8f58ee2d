//! The invented files: what each is called, who made it, and its three hashes, which are those of
//! one content, so that they belong together as a real file's do.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

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
    /// The full path, which ends in the name.
    pub(super) path: String,
    pub(super) size: i64,
    pub(super) product: String,
    pub(super) version: String,
    /// The company that signed it, if any.
    pub(super) signer: Option<&'static str>,
    pub(super) sha1: String,
    pub(super) sha256: String,
    pub(super) md5: String,
    known: AtomicBool,
}

impl File {
    /// The folder it is in.
    pub(super) fn folder(&self) -> &str {
        self.path.strip_suffix(&self.name).unwrap_or(&self.path).trim_end_matches('\\')
    }

    /// Whether this is the first time that it is heard of anywhere; from then on it is known.
    pub(super) fn is_news(&self) -> bool {
        !self.known.swap(true, Ordering::Relaxed)
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
            path: format!("{}\\{}", self.folder, self.name),
            name: self.name,
            size: chance.log_normal(median, 1.1) as i64 + 512,
            product: self.product.to_owned(),
            version: self.version,
            signer: self.signer,
            sha1: hex(&Sha1::digest(&content)),
            sha256: hex(&Sha256::digest(&content)),
            md5: hex(&Md5::digest(&content)),
            known: AtomicBool::new(false),
        })
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    let digit = |half: u8| char::from_digit(u32::from(half), 16).unwrap_or('0');
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
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
    releases: Vec<Vec<Arc<File>>>,
    /// How many files each release brought.
    brought: Vec<u32>,
}

impl Software {
    fn new(cadence: Cadence, releases: Vec<Vec<Arc<File>>>) -> Software {
        let first = releases.first().map(|files| files.len() as u32);
        let later = releases.windows(2).map(|pair| match pair {
            [old, new] => old.iter().zip(new).filter(|(old, new)| !Arc::ptr_eq(old, new)).count() as u32,
            _ => 0,
        });
        let brought = first.into_iter().chain(later).collect();
        Software { cadence, releases, brought }
    }

    /// How many files it has.
    pub(super) fn len(&self) -> usize {
        self.releases.first().map_or(0, Vec::len)
    }

    /// The file at a place.
    pub(super) fn file(&self, release: usize, place: usize) -> Option<&Arc<File>> {
        self.releases.get(release)?.get(place)
    }

    /// How many files a release brought that were not there before; `None` if there is none such.
    pub(super) fn brought(&self, release: usize) -> Option<u32> {
        self.brought.get(release).copied()
    }

    /// How many files a release brought from a place on.
    pub(super) fn brought_after(&self, release: usize, place: usize) -> usize {
        if place == 0 {
            return self.brought(release).map_or(0, |files| files as usize);
        }
        let mut next = place;
        std::iter::from_fn(|| {
            let (found, _) = self.brought_from(release, next)?;
            next = found + 1;
            Some(found)
        })
        .count()
    }

    /// The first file from a place on that a release brought, and its place.
    pub(super) fn brought_from(&self, release: usize, place: usize) -> Option<(usize, &Arc<File>)> {
        let before = release.checked_sub(1).and_then(|before| self.releases.get(before));
        let is_new = |place: usize, file: &Arc<File>| {
            before.and_then(|files| files.get(place)).is_none_or(|old| !Arc::ptr_eq(old, file))
        };
        let files = self.releases.get(release)?.iter().enumerate();
        files.skip(place).find(|(place, file)| is_new(*place, file))
    }

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
        Software::new(cadence, made.releases(drafts.collect(), cadence, days, &mut chance))
    }

    /// The `number`th most popular application, of about `files.0` files, log-normal by `files.1`.
    pub(super) fn application(seed: u64, number: usize, files: (f64, f64), days: i64) -> Software {
        let mut chance = Chance::of(seed, "application", number);
        // Every 45 days a version replaces 60 % of the files, spread over 10 days.
        let cadence = Cadence { every: 45, spread: 10, share: 0.6, first: chance.between(0, 45) };
        let product = words::application(number, &mut chance);
        let folder = format!("C:\\Program Files\\{product}");
        let files = (chance.log_normal(files.0, files.1).round() as usize).max(1);
        let drafts = (0..files).map(|place| {
            let (kind, name) = words::application_file(&product, place, &mut chance);
            (kind, name, folder.clone())
        });
        let drafts = drafts.collect();
        let signer = chance.happens(0.8).then(|| chance.pick(words::PUBLISHERS));
        let major = chance.between(1, 24);
        let version = move |release: usize| format!("{major}.{release}.0");
        let made = Made { product: &product, signer, version: &version };
        Software::new(cadence, made.releases(drafts, cadence, days, &mut chance))
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
