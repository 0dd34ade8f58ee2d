//! A [`Disk`] with a file system on it, mounted: the disk as a file by nbdfuse, that as a block
//! device by the kernel's loop driver.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::disk::Disk;
use crate::report::{Failure, Outcome, While, command};

const PATIENCE: Duration = Duration::from_secs(30);

/// A new ext4 of this size, as its disk's content.
pub fn ext4(size: u64, top: &Path) -> Outcome<Vec<u8>> {
    let image = top.join("image");
    let file = fs::File::create(&image).during("making an image")?;
    file.set_len(size).during("making an image")?;
    let now = "lazy_itable_init=0,lazy_journal_init=0,nodiscard";
    command("mkfs.ext4", &["-q", "-F", "-E", now, &image.to_string_lossy()])?;
    let content = fs::read(&image).during("reading an image")?;
    fs::remove_file(&image).during("removing an image")?;
    Ok(content)
}

/// What makes a disk a folder.
pub struct Mount {
    file: PathBuf,
    folder: PathBuf,
    nbdfuse: Child,
    is_mounted: bool,
}

impl Mount {
    /// Mounts the file system; its journal is replayed by that.
    pub fn new(disk: &Disk, top: &Path) -> Outcome<Mount> {
        let (device, folder, socket) = (top.join("device"), top.join("mounted"), top.join("disk.sock"));
        for folder in [&device, &folder] {
            fs::create_dir_all(folder).during("making a folder")?;
        }
        if !socket.exists() {
            disk.serve(&socket)?;
        }
        let file = device.join("disk");
        let nbdfuse = Command::new("nbdfuse")
            .args([&file, Path::new("--unix"), &socket])
            .stdin(Stdio::null())
            // It complains about every call after a cut.
            .stderr(Stdio::null())
            .spawn()
            .during("starting nbdfuse")?;
        let mut mount = Mount { file, folder, nbdfuse, is_mounted: false };
        let patience = Instant::now() + PATIENCE;
        while !mount.file.exists() {
            let ended = mount.nbdfuse.try_wait().during("waiting for nbdfuse")?;
            if ended.is_some() || Instant::now() > patience {
                return Err(Failure::Unable("nbdfuse does not mount its file".into()));
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        let (file, folder) = (mount.file.to_string_lossy(), mount.folder.to_string_lossy());
        let options = "loop,noatime,errors=remount-ro";
        command("mount", &["-t", "ext4", "-o", options, &file, &folder])?;
        mount.is_mounted = true;
        Ok(mount)
    }

    /// Where the file system is.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Undoes all of it; with the disk's power off, nothing more reaches the disk.
    pub fn undo(mut self) -> Outcome<()> {
        self.unmount()
    }

    fn unmount(&mut self) -> Outcome<()> {
        if self.is_mounted {
            insist("umount", &[&self.folder.to_string_lossy()])?;
            self.is_mounted = false;
        }
        if self.nbdfuse.try_wait().during("waiting for nbdfuse")?.is_none() {
            let device = self.file.parent().unwrap_or(&self.file);
            // The loop device lets go of the file a moment after the file system is gone.
            insist("umount", &[&device.to_string_lossy()])?;
            self.nbdfuse.wait().during("waiting for nbdfuse")?;
        }
        Ok(())
    }
}

/// Again and again: what was killed may hold the file system for another moment.
fn insist(program: &str, arguments: &[&str]) -> Outcome<()> {
    let patience = Instant::now() + PATIENCE;
    loop {
        match command(program, arguments) {
            Err(failure) if Instant::now() > patience => return Err(failure),
            Err(_) => std::thread::sleep(Duration::from_millis(5)),
            Ok(_) => return Ok(()),
        }
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        if self.unmount().is_err() {
            // The last resort of a run that fails anyway, and says why: the README says what may stay.
            let _ = command("umount", &["-l", &self.folder.to_string_lossy()]);
            let _ = self.nbdfuse.kill();
            let _ = self.nbdfuse.wait();
        }
    }
}
