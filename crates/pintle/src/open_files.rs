//! How many files the process may have open. A connection is one, and a server that has none left for the
//! store's files cannot write, so connections leave some to spare.

use std::num::NonZeroUsize;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Files that are no connections: the store's, those of bodies and watched folders, of health's listener.
const BESIDE: u64 = 1_024;

/// Takes as many files as the system gives for the asking, and gives how many connections there may be: those
/// that are wished for, if there is room.
pub fn connections(wished: NonZeroUsize) -> NonZeroUsize {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    // Programs begin with few only because old ones cannot deal with more.
    let raised = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).is_ok();
    let files = if raised { maximum } else { current };
    let fitting = files.map_or(wished, |files| beside_the_others(wished, files));
    if fitting < wished {
        tracing::warn!(
            files,
            "the system allows too few open files (ulimit -n) for server.max_connections: taking {fitting}"
        );
    }
    fitting
}

fn beside_the_others(wished: NonZeroUsize, files: u64) -> NonZeroUsize {
    // Where there are few in all, each gets half.
    let left = files.saturating_sub(BESIDE).max(files / 2);
    let left = usize::try_from(left).ok().and_then(NonZeroUsize::new).unwrap_or(NonZeroUsize::MIN);
    wished.min(left)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_files_to_the_store() {
        let of = |wished, files| beside_the_others(NonZeroUsize::new(wished).unwrap(), files).get();
        assert_eq!(of(4_096, 65_536), 4_096);
        assert_eq!(of(4_096, 4_096), 3_072);
        assert_eq!(of(4_096, 1_024), 512);
        assert_eq!(of(100, 1_024), 100);
        assert_eq!(of(4_096, 0), 1);
    }

    #[test]
    fn the_system_is_asked_for_as_many_as_it_gives() {
        connections(NonZeroUsize::MIN);
        let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
        assert_eq!(current, maximum);
    }
}
