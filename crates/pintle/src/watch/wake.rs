//! Waiting until something changes in the watched folders, it is time to look anyway, or there is an end to
//! it. The system tells of changes on disks of its own; of other machines' folders it tells none, and those
//! are found when it is time.

use std::collections::HashSet;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::fs::inotify;
use rustix::io::Errno;

/// Ends a wait, now and ever after.
#[derive(Clone)]
pub struct Stop(Arc<OwnedFd>);

impl Stop {
    /// One that ends nothing yet.
    pub fn new() -> io::Result<Stop> {
        Ok(Stop(Arc::new(eventfd(0, rustix::event::EventfdFlags::CLOEXEC)?)))
    }

    /// Ends all waits.
    pub fn stop(&self) -> io::Result<()> {
        rustix::io::write(&*self.0, &1_u64.to_ne_bytes())?;
        Ok(())
    }

    /// Whether it has come.
    pub fn has_come(&self) -> bool {
        !self.wait(Duration::ZERO)
    }

    /// Waits at most so long. `false`: it is the end.
    pub fn wait(&self, at_most: Duration) -> bool {
        let mut fds = [PollFd::new(&*self.0, PollFlags::IN)];
        let time = Timespec::try_from(at_most).ok();
        !poll(&mut fds, time.as_ref()).is_ok_and(|ready| ready > 0)
    }
}

/// What is waited for.
pub struct Wake {
    stop: Stop,
    /// `None`: the system tells nothing.
    notices: Option<OwnedFd>,
    folders: HashSet<PathBuf>,
}

impl Wake {
    /// Nothing but the end and the time.
    pub fn new(stop: Stop) -> Wake {
        let notices = inotify::init(inotify::CreateFlags::NONBLOCK | inotify::CreateFlags::CLOEXEC).ok();
        Wake { stop, notices, folders: HashSet::new() }
    }

    /// Waits for changes in these folders. An error: the system takes no more of them, so that changes there
    /// are found when it is time.
    pub fn look_at(&mut self, folders: &[PathBuf]) -> io::Result<()> {
        use inotify::WatchFlags as On;
        let Some(notices) = &self.notices else { return Ok(()) };
        self.folders.retain(|folder| folders.contains(folder));
        for folder in folders {
            if self.folders.contains(folder) {
                continue;
            }
            let on = On::MODIFY | On::CREATE | On::MOVED_TO | On::MOVED_FROM | On::DELETE | On::CLOSE_WRITE;
            match inotify::add_watch(notices, folder, on | On::ONLYDIR) {
                Ok(_) => _ = self.folders.insert(folder.clone()),
                // It just went; who looks next sees it.
                Err(Errno::NOENT | Errno::NOTDIR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Waits at most so long. `false`: it is the end.
    pub fn wait(&self, at_most: Duration) -> bool {
        let mut fds = vec![PollFd::new(&*self.stop.0, PollFlags::IN)];
        if let Some(notices) = &self.notices {
            fds.push(PollFd::new(notices, PollFlags::IN));
        }
        let time = Timespec::try_from(at_most).ok();
        // An interrupted wait is a short one.
        let _ = poll(&mut fds, time.as_ref());
        self.drain();
        !self.stop.has_come()
    }

    /// Forgets what changed until now: whoever looks next sees all of it.
    fn drain(&self) {
        let Some(notices) = &self.notices else { return };
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut notices = inotify::Reader::new(notices, &mut buffer);
        while notices.next().is_ok() {}
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn a_change_and_the_end_are_told_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let stop = Stop::new().unwrap();
        let mut wake = Wake::new(stop.clone());
        wake.look_at(&[folder.path().to_owned()]).unwrap();
        assert!(wake.wait(Duration::from_millis(1)));
        std::fs::write(folder.path().join("a"), "x").unwrap();
        let before = Instant::now();
        assert!(wake.wait(Duration::from_secs(60)));
        assert!(!stop.has_come());
        stop.stop().unwrap();
        assert!(!wake.wait(Duration::from_secs(60)) && !wake.wait(Duration::from_secs(60)));
        assert!(before.elapsed() < Duration::from_secs(50));
    }
}
