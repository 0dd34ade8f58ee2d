//! Waiting until something changes in the watched folders, it is time to look anyway, or there is an end to
//! it. The system tells of changes on disks of its own; of other machines' folders it tells none, and those
//! are found when it is time.

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
        let time = timespec(at_most);
        !poll(&mut fds, time.as_ref()).is_ok_and(|ready| ready > 0)
    }
}

/// So long; `None`, which is without end, for longer than the system can count: 292 thousand million years.
fn timespec(time: Duration) -> Option<Timespec> {
    Timespec::try_from(time).ok()
}

/// What is waited for.
pub struct Wake {
    stop: Stop,
    /// `None`: the system tells nothing.
    notices: Option<OwnedFd>,
}

impl Wake {
    /// Nothing but the end and the time.
    pub fn new(stop: Stop) -> Wake {
        let notices = inotify::init(inotify::CreateFlags::NONBLOCK | inotify::CreateFlags::CLOEXEC);
        let notices = notices.inspect_err(|error| {
            tracing::warn!(%error, "the system tells no changes of folders: they are looked at every poll");
        });
        Wake { stop, notices: notices.ok() }
    }

    /// Waits for changes in these folders. An error: the system takes no more of them, so that changes there
    /// are found when it is time.
    pub fn look_at(&self, folders: &[PathBuf]) -> io::Result<()> {
        use inotify::WatchFlags as On;
        let Some(notices) = &self.notices else { return Ok(()) };
        for folder in folders {
            // Each time: another folder may have the name by now. The same one counts once.
            let on = On::MODIFY | On::CREATE | On::MOVED_TO | On::MOVED_FROM | On::DELETE | On::CLOSE_WRITE;
            match inotify::add_watch(notices, folder, on | On::ONLYDIR) {
                // One that just went is seen by who looks next.
                Ok(_) | Err(Errno::NOENT | Errno::NOTDIR) => {}
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
        let time = timespec(at_most);
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
        let wake = Wake::new(stop.clone());
        let logs = folder.path().join("logs");
        let before = Instant::now();
        // Another folder of the same name is one too.
        for _ in 0..2 {
            std::fs::create_dir(&logs).unwrap();
            wake.look_at(std::slice::from_ref(&logs)).unwrap();
            assert!(wake.wait(Duration::from_millis(1)));
            std::fs::write(logs.join("a"), "x").unwrap();
            assert!(wake.wait(Duration::from_secs(60)));
            std::fs::remove_dir_all(&logs).unwrap();
            assert!(wake.wait(Duration::from_secs(60)));
        }
        std::fs::create_dir(&logs).unwrap();
        wake.look_at(std::slice::from_ref(&logs)).unwrap();
        std::fs::write(logs.join("a"), "x").unwrap();
        assert!(wake.wait(Duration::from_secs(60)));
        assert!(!stop.has_come());
        stop.stop().unwrap();
        assert!(!wake.wait(Duration::from_secs(60)) && !wake.wait(Duration::from_secs(60)));
        assert!(before.elapsed() < Duration::from_secs(50));
    }
}
