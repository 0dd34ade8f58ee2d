//! How common a file is in the tenant.

use std::time::Duration;

use pintle_model::FileHash;

use super::Seen;
use crate::store::Store;
use crate::{Error, Scope, Span};

/// What is told of a file's prevalence.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileStats {
    /// The file's SHA-1, if any source gave it.
    pub sha1: Option<String>,
    /// Machines on which it was last seen within the time looked back.
    pub recent_machines: usize,
    /// First and last seen on these, also before that time; `None`: on none, or at no plausible time.
    pub recent: Option<Span>,
    /// Machines on which it was ever seen.
    pub machines: usize,
    /// First and last seen on these.
    pub ever: Option<Span>,
    /// Names that it had, by their text.
    pub names: Vec<String>,
}

/// Names that are told at most.
const MAX_NAMES: usize = 10;

impl Store {
    /// How common a file is, looking back so far. `None`: unknown hash.
    pub fn file_stats(
        &self,
        scope: &Scope,
        hash: &FileHash,
        look_back: Duration,
    ) -> Result<Option<FileStats>, Error> {
        let Some(Seen { resolved, pairs }) = self.ask_of_files(scope)?.seen(hash)? else { return Ok(None) };
        let since = self.now() - look_back;
        let spans = || pairs.iter().map(|(_, pair)| pair.any_role);
        let recent = || spans().filter(|span| span.is_some_and(|span| span.last >= since));
        let entity = resolved.entity()?;
        // A name may be known from a hidden machine alone; nothing tells from which.
        let tells_names = !scope.hides_files();
        let names = entity.parts.keys().filter_map(|part| part.strip_prefix("n:")).filter(|_| tells_names);
        Ok(Some(FileStats {
            sha1: resolved.hashes().sha1.map(|sha1| sha1.to_string()),
            recent_machines: recent().count(),
            recent: recent().fold(None, Span::joined),
            machines: pairs.len(),
            ever: spans().fold(None, Span::joined),
            names: names.take(MAX_NAMES).map(str::to_owned).collect(),
        }))
    }
}
