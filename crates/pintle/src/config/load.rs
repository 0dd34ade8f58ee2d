//! Puts a configuration together from its sources. A flag goes before a variable, a variable
//! before the file, the file before the default; every problem in every source is found at once.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::keys::{self, Input, KEYS, Key};
use super::{Config, Tenant, kafka, outside, pull, watch};

/// Sections that hold sections with names of the administrator's own, which are read by a module each.
const NAMED: &[&str] = &[kafka::SECTION, outside::SECTION, pull::SECTION, watch::SECTION];

/// Variables that begin with `PINTLE_` and are not settings.
const OTHER_VARIABLES: &[&str] = &["PINTLE_CONFIG"];

/// Where settings come from.
#[derive(Default)]
pub struct Sources {
    /// A TOML file: its path, for messages, and its text.
    pub file: Option<(PathBuf, String)>,
    /// Variables; only those that begin with `PINTLE_` count. An empty one is as good as none.
    pub environment: Vec<(String, String)>,
    /// Flags that were given.
    pub flags: Vec<(&'static Key, String)>,
}

/// Settings and where each came from.
#[derive(Debug)]
pub struct Loaded {
    /// The settings.
    pub config: Config,
    /// The file they were read from, if there was one.
    pub file: Option<PathBuf>,
    origins: BTreeMap<&'static str, Origin>,
}

/// Where a setting came from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// Nobody set it.
    #[default]
    Default,
    /// The file.
    File,
    /// An environment variable.
    Environment,
    /// A flag.
    Flag,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Origin::Default => "default",
            Origin::File => "file",
            Origin::Environment => "env",
            Origin::Flag => "flag",
        })
    }
}

/// Something in a source that cannot stand.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {message}")]
pub struct Problem {
    /// File, line and column, or the variable, or the flag.
    pub place: String,
    /// What is wrong and what would be right.
    pub message: String,
}

impl Sources {
    /// The process's environment, the given flags, and a file: the one named, else the one in
    /// `PINTLE_CONFIG`, else the platform's if it exists.
    pub fn gather(file: Option<&Path>, flags: Vec<(&'static Key, String)>) -> Result<Sources, Problem> {
        let environment = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
            .filter(|(name, _)| name.starts_with("PINTLE_"))
            .map(|(name, value)| (name, value.to_string_lossy().into_owned()))
            .collect();
        let named = file
            .map(Path::to_owned)
            .or_else(|| std::env::var_os("PINTLE_CONFIG").filter(|path| !path.is_empty()).map(PathBuf::from));
        let path = named.or_else(|| default_file().filter(|path| path.exists()));
        let file = path.map(|path| read_file(&path).map(|text| (path, text))).transpose()?;
        Ok(Sources { file, environment, flags })
    }
}

/// Reads a configuration file whole.
pub fn read_file(path: &Path) -> Result<String, Problem> {
    std::fs::read_to_string(path).map_err(|error| Problem {
        place: path.display().to_string(),
        message: format!("cannot read the configuration: {error}"),
    })
}

/// Where the file is looked for when none is named: `/etc/pintle/pintle.toml` for root, else
/// `pintle/pintle.toml` in the user's configuration folder.
fn default_file() -> Option<PathBuf> {
    if rustix::process::geteuid().is_root() {
        return Some(PathBuf::from("/etc/pintle/pintle.toml"));
    }
    let folder = std::env::var_os("XDG_CONFIG_HOME").map(PathBuf::from).filter(|p| p.is_absolute());
    let folder = folder.or_else(|| Some(std::env::home_dir()?.join(".config")))?;
    Some(folder.join("pintle/pintle.toml"))
}

impl Loaded {
    /// Where a setting came from.
    pub fn origin(&self, key: &Key) -> Origin {
        self.origins.get(key.name).copied().unwrap_or_default()
    }

    /// Puts the sources together, or says everything that is wrong with them.
    pub fn from_sources(sources: &Sources) -> Result<Loaded, Vec<Problem>> {
        let mut reading = Reading::default();
        let mut tenants = Vec::new();
        let (mut issuers, mut pulls, mut watches, mut kafkas) = (None, None, None, None);
        let table; // outlives the values of tenants and issuers, which are read last
        let place = |span| match &sources.file {
            Some((path, text)) => place_in_file(path, text, span),
            None => String::new(),
        };
        if let Some((_, text)) = &sources.file {
            let (parsed, errors) = DeTable::parse_recoverable(text);
            table = parsed;
            for error in errors {
                let start = error.span().map_or(0, |span| span.start);
                reading.problem(place(start), error.message().to_owned());
            }
            let named = |name| table.get_ref().get(name).and_then(|section| section.get_ref().as_table());
            (issuers, pulls) = (named(outside::SECTION), named(pull::SECTION));
            (watches, kafkas) = (named(watch::SECTION), named(kafka::SECTION));
            for leaf in leaves(table.get_ref()) {
                match tenant_key(&leaf.path) {
                    Some((tenant, name)) => tenants.push((tenant, name, leaf)),
                    None => reading.file_setting(&leaf, &place),
                }
            }
        }
        for (name, value) in &sources.environment {
            if name.starts_with("PINTLE_") && !value.is_empty() {
                reading.variable(name, value);
            }
        }
        for (key, value) in &sources.flags {
            let flag = format!("--{}", key.flag.unwrap_or(key.name));
            reading.set(key, Input::Text(value), Origin::Flag, || flag);
        }
        // Last, because what a tenant does not set is the general setting, wherever that is from.
        for (tenant, name, leaf) in &tenants {
            reading.tenant_setting(tenant, name, leaf, &place);
        }
        // And these must not be what the general settings make the built-in issuer.
        if let Some(issuers) = issuers {
            let public_url = reading.config.server.public_url.clone();
            let mut problem = |at, message| reading.problems.push(Problem { place: place(at), message });
            reading.config.outside_issuers = outside::read(issuers, public_url.as_ref(), &mut problem);
        }
        if let Some(pulls) = pulls {
            let mut problem = |at, message| reading.problems.push(Problem { place: place(at), message });
            reading.config.pull = pull::read(pulls, &mut problem);
        }
        if let Some(watches) = watches {
            let mut problem = |at, message| reading.problems.push(Problem { place: place(at), message });
            reading.config.watch = watch::read(watches, &mut problem);
        }
        if let Some(kafkas) = kafkas {
            let mut problem = |at, message| reading.problems.push(Problem { place: place(at), message });
            reading.config.kafka = kafka::read(kafkas, &mut problem);
        }
        if reading.problems.is_empty() {
            let file = sources.file.as_ref().map(|(path, _)| path.clone());
            Ok(Loaded { config: reading.config, file, origins: reading.origins })
        } else {
            Err(reading.problems)
        }
    }
}

/// A configuration while it is read.
#[derive(Default)]
struct Reading {
    config: Config,
    origins: BTreeMap<&'static str, Origin>,
    problems: Vec<Problem>,
}

impl Reading {
    fn problem(&mut self, place: String, message: String) {
        self.problems.push(Problem { place, message });
    }

    fn set(&mut self, key: &'static Key, input: Input<'_>, origin: Origin, place: impl FnOnce() -> String) {
        match key.set(&mut self.config, input) {
            Ok(()) => {
                self.origins.insert(key.name, origin);
            }
            Err(message) => self.problem(place(), format!("{}: {message}", key.name)),
        }
    }

    fn file_setting(&mut self, leaf: &Leaf<'_>, place: &dyn Fn(usize) -> String) {
        match keys::find(&leaf.path) {
            Some(key) => {
                let at = leaf.value.span().start;
                self.set(key, Input::Toml(leaf.value.get_ref()), Origin::File, || place(at));
            }
            None => self.problem(place(leaf.at), unknown_key(&leaf.path)),
        }
    }

    fn variable(&mut self, name: &str, value: &str) {
        if OTHER_VARIABLES.contains(&name) {
            return;
        }
        match KEYS.iter().find(|key| key.variable() == name) {
            Some(key) => self.set(key, Input::Text(value), Origin::Environment, || name.to_owned()),
            None => {
                let variables = KEYS.iter().map(Key::variable);
                let known: Vec<String> =
                    variables.chain(OTHER_VARIABLES.iter().map(ToString::to_string)).collect();
                let nearest = nearest(name, known.iter().map(String::as_str), '_');
                self.problem(name.to_owned(), format!("unknown variable, did you mean {nearest}"));
            }
        }
    }

    fn tenant_setting(&mut self, tenant: &str, name: &str, leaf: &Leaf<'_>, place: &dyn Fn(usize) -> String) {
        let key = keys::find(name).filter(|key| key.section_and_name().0 == "retention");
        let Some(key) = key else {
            let retention = KEYS.iter().map(|key| key.name).filter(|k| k.starts_with("retention."));
            let nearest = nearest(name, retention, '.');
            let message = format!("unknown key {}, did you mean tenants.{tenant}.{nearest}", leaf.path);
            return self.problem(place(leaf.at), message);
        };
        let general = self.config.retention;
        let settings = self.config.tenants.entry(tenant.to_owned()).or_insert(Tenant { retention: general });
        // The general key knows how to read the value, so it reads into a configuration that
        // has the tenant's retention as its general one.
        let mut scratch = Config { retention: settings.retention, ..Config::default() };
        match key.set(&mut scratch, Input::Toml(leaf.value.get_ref())) {
            Ok(()) => settings.retention = scratch.retention,
            Err(message) => {
                self.problem(place(leaf.value.span().start), format!("{}: {message}", leaf.path));
            }
        }
    }
}

/// A value in a file.
struct Leaf<'a> {
    /// Sections and name, joined by dots.
    path: String,
    /// Where its name begins, in bytes.
    at: usize,
    value: &'a Spanned<DeValue<'a>>,
}

/// The values of a file. A section without any is a leaf too, unless it is a known section, so
/// that a misspelt one does not pass unnoticed.
fn leaves<'a>(table: &'a DeTable<'a>) -> Vec<Leaf<'a>> {
    fn walk<'a>(prefix: &str, table: &'a DeTable<'a>, found: &mut Vec<Leaf<'a>>) {
        for (name, value) in table {
            let path = format!("{prefix}{}", name.get_ref());
            match value.get_ref() {
                DeValue::Table(_) if NAMED.contains(&path.as_str()) => {}
                DeValue::Table(inner) if keys::find(&path).is_none() && !inner.is_empty() => {
                    walk(&format!("{path}."), inner, found);
                }
                DeValue::Table(_) if is_section(&path) => {}
                _ => found.push(Leaf { path, at: name.span().start, value }),
            }
        }
    }
    let mut found = Vec::new();
    walk("", table, &mut found);
    found
}

fn is_section(path: &str) -> bool {
    path == "tenants" || NAMED.contains(&path) || KEYS.iter().any(|key| key.section_and_name().0 == path)
}

/// `tenants.acme.retention.alerts` → `acme`, `retention.alerts`.
fn tenant_key(path: &str) -> Option<(String, String)> {
    let rest = path.strip_prefix("tenants.")?;
    // From the right, because a tenant's name may have dots in it.
    let mut parts = rest.rsplitn(3, '.');
    let (name, section) = (parts.next()?, parts.next()?);
    Some((parts.next()?.to_owned(), format!("{section}.{name}")))
}

fn unknown_key(path: &str) -> String {
    if is_section(path) {
        return format!("{path} is a section: write [{path}] and its keys below");
    }
    let first = path.split('.').next().unwrap_or_default();
    let is_meant = |name: &&&str| strsim::damerau_levenshtein(first, name) <= 2.max(name.len() / 5);
    if let Some(meant) = NAMED.iter().find(is_meant) {
        return format!("unknown key {path}, did you mean [{meant}.NAME]");
    }
    if path.contains('.') {
        let nearest = nearest(path, KEYS.iter().map(|key| key.name), '.');
        return format!("unknown key {path}, did you mean {nearest}");
    }
    // Outside any section: a misspelt section, or a key whose section was left out.
    let distance = |name: &str| strsim::damerau_levenshtein(path, name);
    let meant = KEYS
        .iter()
        .map(|key| (key, key.section_and_name()))
        .flat_map(|(key, (section, name))| {
            [(distance(name), key.name.to_owned()), (distance(section), format!("[{section}]"))]
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, meant)| meant)
        .unwrap_or_default();
    format!("unknown key {path}, did you mean {meant}")
}

/// The candidate that was most likely meant: the same name in another section, or few letters away.
pub(super) fn nearest<'a>(
    wrong: &str,
    candidates: impl Iterator<Item = &'a str>,
    separator: char,
) -> &'a str {
    let without_section = |name: &str| name.split_once(separator).map(|(_, last)| last.to_owned());
    candidates
        .min_by_key(|candidate| {
            let whole = strsim::damerau_levenshtein(wrong, candidate);
            let last = match (without_section(wrong), without_section(candidate)) {
                (Some(wrong), Some(right)) => strsim::damerau_levenshtein(&wrong, &right),
                _ => whole,
            };
            whole.min(2 * last + 1)
        })
        .unwrap_or_default()
}

fn place_in_file(path: &Path, text: &str, at: usize) -> String {
    let before = text.get(..at).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    format!("{}:{line}:{column}", path.display())
}
