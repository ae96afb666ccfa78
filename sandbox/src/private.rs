//! A folder of its own on the host for a cell that shares the host's files. Nobody else may enter it, and nothing of it stays.

use crate::cgroup::Owner;
use crate::collect;
use rustix::fs::{Mode, OFlags};
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::{fs, io};

/// A private folder with `out` and `tmp` in it.
#[derive(Debug)]
pub(crate) struct Private {
    path: PathBuf,
}

impl Private {
    /// Makes the folder below the system's folder for temporary files, for `user` where that is somebody else.
    pub(crate) fn make(name: &str, user: Option<u32>) -> io::Result<Self> {
        let private = Self { path: std::env::temp_dir().join(name) };
        // The last one to be given away is the folder itself: until then nobody else can enter.
        let folders = [private.path.clone(), private.out(), private.tmp()];
        for folder in &folders {
            rustix::fs::mkdir(folder, Mode::RWXU)?;
        }
        if let Some(id) = user {
            for folder in folders.iter().rev() {
                std::os::unix::fs::chown(folder, Some(id), Some(id))?;
            }
        }
        Ok(private)
    }

    /// What is collected from.
    pub(crate) fn out(&self) -> PathBuf {
        self.path.join("out")
    }

    /// Scratch.
    pub(crate) fn tmp(&self) -> PathBuf {
        self.path.join("tmp")
    }

    /// Removes it with everything in it, however deep. Returns whether nothing is left. All processes of the cell must have
    /// ended. Repeating it does no harm.
    pub(crate) fn remove(&self) -> bool {
        remove(&self.path)
    }

    /// Removes the folders of processes that were killed.
    pub(crate) fn sweep(own: &Owner) {
        for entry in fs::read_dir(std::env::temp_dir()).into_iter().flatten().flatten() {
            let is_left = entry.file_name().to_str().is_some_and(|name| Owner::is_gone(name, own));
            if is_left && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                remove(&entry.path());
            }
        }
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        self.remove();
    }
}

fn remove(path: &Path) -> bool {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(folder) => collect::empty(folder.as_fd()).is_ok() && fs::remove_dir(path).is_ok(),
        Err(errno) => errno == rustix::io::Errno::NOENT,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_private_folder_goes_with_everything_in_it() {
        let private = Private::make(&format!("ansatz-private-test-{}", std::process::id()), None).unwrap();
        fs::create_dir_all(private.out().join("a/b/c")).unwrap();
        fs::write(private.tmp().join("x"), "y").unwrap();
        let mode =
            std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&private.path).unwrap().permissions());
        assert_eq!(mode & 0o777, 0o700);
        assert!(private.remove() && !private.path.exists());
    }

    #[test]
    fn folders_of_the_living_stay() {
        let own = Owner::current();
        let private = Private::make(&own.group(77, "stays"), None).unwrap();
        Private::sweep(&own);
        assert!(private.path.exists());
        assert!(private.remove());
    }
}
