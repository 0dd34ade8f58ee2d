//! Folders whose files are taken in as they come and grow.
//!
//! A file is what its device and inode say, under whatever name, as long as it still begins with what it
//! began with and has before the offset what was taken last. So renaming it changes nothing, and truncating
//! it begins it anew; a copy of it, packed or not, goes on where it was. What is taken is durable before the
//! offset is noted, and the offsets are kept in the data folder: after a crash something is taken again, which
//! changes nothing.
//!
//! Each folder has a thread, which does one thing after the other: [`Folder::look`].

mod kept;
pub(crate) mod known;
mod mark;
mod scan;
mod take;
mod wake;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::config::{After, Watch};
use crate::instance::Instance;
use known::Known;
use scan::{Found, Id, Stamp};
use wake::{Stop, Wake};

/// Files that are gone, or were begun anew, and are remembered all the same: their copies may come yet.
const MOST_GONE: usize = 1_000;
/// Files held open in a folder.
const MOST_OPEN: usize = 64;
/// The least time between two looks.
const PAUSE: Duration = Duration::from_millis(200);
/// Of so many parts of the time, looking takes about one.
const SHARE: u32 = 10;

/// Files of a folder that are told of; of more, those in trouble come first.
const MOST_TOLD: usize = 1_000;

/// How the files of watched folders stood when they were looked at last.
#[derive(Default)]
pub(crate) struct Watched(Mutex<BTreeMap<String, Value>>);

impl Watched {
    /// Of the folder of that name; `None`: it was not looked at yet.
    pub(crate) fn told(&self, name: &str) -> Option<Value> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    fn tell(&self, name: &str, standing: Value) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), standing);
    }
}

/// A watched folder.
struct Folder {
    instance: Arc<Instance>,
    /// The section's name, which is the source's.
    name: String,
    settings: Watch,
    files: BTreeMap<Id, Known>,
    /// The newest last.
    gone: VecDeque<Known>,
    /// What was said of the folder and still holds: it is not said again.
    said: BTreeSet<String>,
    /// Until when nothing is taken, as it could not be kept, and why.
    rest: Option<(Duration, String)>,
    /// Whether there is something to keep over a restart.
    is_changed: bool,
}

/// What a look came to.
#[derive(Debug, Default)]
struct Looked {
    /// The folders whose changes matter.
    folders: Vec<PathBuf>,
    /// There is more to take at once.
    has_more: bool,
}

impl Folder {
    /// As it was left.
    fn open(instance: Arc<Instance>, name: &str, settings: &Watch) -> Folder {
        let mut folder = Folder {
            instance,
            name: name.to_owned(),
            settings: settings.clone(),
            files: BTreeMap::new(),
            gone: VecDeque::new(),
            said: BTreeSet::new(),
            rest: None,
            is_changed: false,
        };
        match kept::read(folder.instance.store.folder(), name) {
            Ok((files, gone)) => {
                folder.files = files.into_iter().map(|known| (known.id, known)).collect();
                folder.gone = gone;
            }
            Err(error) => {
                tracing::warn!(watch = name, %error, "what was taken of a watched folder cannot be read: all is taken again");
            }
        }
        for known in folder.files.values_mut() {
            known.now.is_doubted = true;
        }
        folder
    }

    /// Looks at what is there and takes what is new. `now` is the time since some moment.
    fn look(&mut self, now: Duration) -> Looked {
        let found = match scan::scan(&self.settings.path, self.settings.recursive) {
            Ok(found) => found,
            Err(error) => {
                self.say_only([format!("it cannot be looked at: {error}")].into());
                self.tell();
                return Looked::default();
            }
        };
        let mut troubles: BTreeSet<String> = found.troubles.iter().cloned().collect();
        self.note(&found, now);
        let mut has_more = false;
        match self.instance.control.tenant(&self.settings.tenant).map(|tenant| tenant.id) {
            None => _ = troubles.insert(format!("there is no tenant {}", self.settings.tenant)),
            Some(tenant) if self.rest.as_ref().is_none_or(|(until, _)| now >= *until) => {
                self.rest = None;
                has_more = self.take(tenant, now);
            }
            Some(_) => {}
        }
        troubles.extend(self.rest.iter().map(|(_, reason)| format!("it cannot be kept: {reason}")));
        self.forget_gone();
        self.close_most();
        self.say_only(troubles);
        self.keep();
        self.tell();
        Looked { folders: found.folders, has_more }
    }

    /// Says what is wrong with the folder, once.
    fn say_only(&mut self, troubles: BTreeSet<String>) {
        for trouble in troubles.difference(&self.said) {
            let folder = self.settings.path.display();
            tracing::warn!(watch = self.name, %folder, trouble, "a watched folder is not taken in whole");
        }
        self.said = troubles;
    }

    /// Takes note of what is there now.
    fn note(&mut self, found: &Found, now: Duration) {
        for entry in found.files.values() {
            let name = self.name_of(&entry.path);
            if let Some(known) = self.files.get_mut(&entry.id) {
                if known.stamp != entry.stamp {
                    (known.stamp, known.now.changed, known.now.is_doubted) = (entry.stamp, now, true);
                    known.is_taken = false;
                    self.is_changed = true;
                }
                known.name = name;
                known.now.path = Some(entry.path.clone());
                continue;
            }
            let back = self.gone.iter().position(|gone| gone.id == entry.id && gone.stamp == entry.stamp);
            let known = match back.and_then(|place| self.gone.remove(place)) {
                Some(mut known) => {
                    (known.gone, known.name, known.now.is_doubted) = (None, name, true);
                    known
                }
                None if self.is_wanted(&entry.path) => Known::new(name, entry.id, entry.stamp, now),
                None => continue,
            };
            let mut known = known;
            known.now.path = Some(entry.path.clone());
            self.files.insert(entry.id, known);
            self.is_changed = true;
        }
        for known in self.files.values_mut() {
            let id = known.id;
            known.now.path.take_if(|path| found.lacks(id, path));
        }
    }

    fn is_wanted(&self, path: &Path) -> bool {
        path.file_name().is_some_and(|name| self.settings.pattern.matches(Path::new(name)))
    }

    /// A file's name in the folder.
    fn name_of(&self, path: &Path) -> String {
        path.strip_prefix(&self.settings.path).unwrap_or(path).to_string_lossy().into_owned()
    }

    /// Remembers files that are not there any more, of which all was taken that could be.
    fn forget_gone(&mut self) {
        let is_over = |known: &Known| known.now.path.is_none() && known.now.file.is_none();
        let over: Vec<Id> =
            self.files.values().filter(|known| is_over(known)).map(|known| known.id).collect();
        for id in over {
            if let Some(known) = self.files.remove(&id) {
                self.remember(known);
            }
        }
    }

    /// Remembers a file that is gone or was begun anew.
    fn remember(&mut self, mut known: Known) {
        self.is_changed = true;
        if known.offset == 0 {
            return;
        }
        known.gone = Some(self.instance.now());
        known.now = known::Now::default();
        self.gone.push_back(known);
        while self.gone.len() > MOST_GONE {
            self.gone.pop_front();
        }
    }

    /// Holds no more files open than there may be: those that changed last.
    fn close_most(&mut self) {
        let mut open: Vec<(Duration, Id)> = self
            .files
            .values()
            .filter(|known| known.now.file.is_some())
            .map(|known| (known.now.changed, known.id))
            .collect();
        open.sort_unstable();
        for (_, id) in open.iter().rev().skip(MOST_OPEN) {
            if let Some(known) = self.files.get_mut(id) {
                known.now.file = None;
            }
        }
    }

    /// Tells how it stands.
    fn tell(&self) {
        let trouble = |known: &Known| known.now.trouble.as_ref().map(|trouble| trouble.reason.clone());
        let in_trouble = self.files.values().filter(|known| known.now.trouble.is_some()).count();
        let mut files: Vec<&Known> = self.files.values().collect();
        files.sort_by_key(|known| (known.now.trouble.is_none(), &known.name));
        let file = |known: &&Known| {
            json!({
                "name": known.name,
                "offset": known.offset,
                "size": known.stamp.size,
                "taken": known.is_done(),
                "trouble": trouble(known),
            })
        };
        let standing = json!({
            "source": self.name,
            "fileCount": files.len(),
            "files": files.iter().take(MOST_TOLD).map(file).collect::<Vec<_>>(),
            "troubles": self.said,
        });
        self.instance.watched.tell(&self.name, standing);
        self.instance.metrics.watched(&self.name, files.len(), in_trouble + self.said.len());
    }

    fn keep(&mut self) {
        if !self.is_changed {
            return;
        }
        match kept::write(self.instance.store.folder(), &self.name, self.files.values(), self.gone.iter()) {
            Ok(()) => self.is_changed = false,
            Err(error) => {
                tracing::error!(watch = self.name, %error, "what was taken of a watched folder cannot be written: a restart takes some of it again");
            }
        }
    }
}

/// The folders that are being watched.
pub(crate) struct Watching {
    stop: Option<Stop>,
    threads: Vec<JoinHandle<()>>,
}

impl Watching {
    /// Begins to watch what the settings say.
    pub(crate) fn start(instance: &Arc<Instance>) -> io::Result<Watching> {
        let mut watching = Watching { stop: None, threads: Vec::new() };
        if instance.config.watch.is_empty() {
            return Ok(watching);
        }
        let stop = Stop::new()?;
        watching.stop = Some(stop.clone());
        for (name, settings) in &instance.config.watch {
            if instance.control.tenant(&settings.tenant).is_none() {
                tracing::warn!(
                    watch = name,
                    tenant = settings.tenant,
                    "there is no such tenant, so nothing of this folder is taken in: make it with `pintle tenant create`"
                );
            }
            if let Some(format) =
                settings.format.as_deref().filter(|name| instance.decoders.named(name).is_none())
            {
                tracing::warn!(
                    watch = name,
                    format,
                    "there is no such format, so nothing of this folder is taken in"
                );
            }
            let (instance, name, settings, stop) =
                (Arc::clone(instance), name.clone(), settings.clone(), stop.clone());
            let thread = std::thread::Builder::new().name("watch".to_owned());
            watching.threads.push(thread.spawn(move || {
                let mut folder = Folder::open(instance, &name, &settings);
                watch(&mut folder, stop);
            })?);
        }
        Ok(watching)
    }

    /// Ends it, once what is being taken is taken. Blocks.
    pub(crate) fn end(self) {
        if let Some(stop) = self.stop
            && let Err(error) = stop.stop()
        {
            tracing::error!(%error, "watching folders cannot be ended");
            return;
        }
        for thread in self.threads {
            if thread.join().is_err() {
                tracing::error!("watching a folder ended in a panic");
            }
        }
    }
}

fn watch(folder: &mut Folder, stop: Stop) {
    let started = Instant::now();
    let wake = Wake::new(stop.clone());
    let mut is_told = true;
    loop {
        let begun = started.elapsed();
        let looked = folder.look(begun);
        let took = started.elapsed().saturating_sub(begun);
        if let Err(error) = wake.look_at(&looked.folders)
            && std::mem::take(&mut is_told)
        {
            tracing::warn!(watch = folder.name, %error, "the system tells no changes of a folder: it is looked at every poll");
        }
        if stop.has_come() {
            return;
        }
        if looked.has_more {
            continue;
        }
        if !wake.wait(folder.settings.poll) {
            return;
        }
        // What comes line by line is taken in bundles, and a full folder is not looked at all the time.
        if !stop.wait((took * SHARE).clamp(PAUSE, PAUSE.max(folder.settings.poll))) {
            return;
        }
    }
}
