//! The files under a path, for those who name works or look at them.
//!
//! Invariants: in a fixed order; names that begin with a dot are left out and counted, unless one is
//! what was asked for; links are followed to files, and not to directories, so the walk ends. What
//! cannot be read is told with the files, never left out in silence. What it is not: what is in them.

use std::io;
use std::path::{Path, PathBuf};

/// What a path holds.
#[derive(Debug, Default)]
pub(crate) struct Files {
    /// The files.
    pub found: Vec<PathBuf>,
    /// Names that begin with a dot and were left out.
    pub dotted: u64,
    /// Directories and entries that cannot be read, each in one line.
    pub faults: Vec<String>,
}

impl Files {
    /// Of a file, itself; of a directory, the files in it and below it. An error if the path itself
    /// cannot be read.
    pub(crate) fn under(path: &Path) -> io::Result<Self> {
        let mut files = Self::default();
        if !std::fs::metadata(path)?.is_dir() {
            files.found.push(path.to_owned());
            return Ok(files);
        }
        let mut waiting = files.inside(path)?;
        while let Some(path) = waiting.pop() {
            match Kind::of(&path) {
                Ok(Kind::File) => files.found.push(path),
                Ok(Kind::Directory) => match files.inside(&path) {
                    Ok(inside) => waiting.extend(inside),
                    Err(error) => files.fault(&path, &error),
                },
                Ok(Kind::Other(what)) => {
                    files.faults.push(format!("{} is {what}, which is not read", path.display()));
                }
                Err(error) => files.fault(&path, &error),
            }
        }
        Ok(files)
    }

    /// The entries of a directory but for those with a dot, last first.
    fn inside(&mut self, path: &Path) -> io::Result<Vec<PathBuf>> {
        let entries: Vec<_> = std::fs::read_dir(path)?.collect::<Result<_, _>>()?;
        let is_dotted = |name: &std::ffi::OsStr| name.as_encoded_bytes().starts_with(b".");
        let all = entries.len();
        let mut inside: Vec<PathBuf> = entries
            .into_iter()
            .filter(|entry| !is_dotted(&entry.file_name()))
            .map(|entry| entry.path())
            .collect();
        self.dotted += (all - inside.len()) as u64;
        inside.sort_by(|a, b| b.cmp(a));
        Ok(inside)
    }

    fn fault(&mut self, path: &Path, error: &io::Error) {
        self.faults.push(format!("cannot read {}: {error}", path.display()));
    }
}

enum Kind {
    File,
    Directory,
    Other(&'static str),
}

impl Kind {
    fn of(path: &Path) -> io::Result<Self> {
        let is_link = std::fs::symlink_metadata(path)?.is_symlink();
        let there = std::fs::metadata(path)?;
        Ok(if there.is_file() {
            Self::File
        } else if !there.is_dir() {
            Self::Other("neither a file nor a directory")
        } else if is_link {
            Self::Other("a link to a directory")
        } else {
            Self::Directory
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dotted_names_are_left_out_and_counted() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = |name: &str| std::fs::write(dir.path().join(name), name).expect("written");
        std::fs::create_dir_all(dir.path().join("a/.git")).expect("made");
        ["b.txt", ".DS_Store", "a/z.txt", "a/.git/x"].into_iter().for_each(file);
        let files = Files::under(dir.path()).expect("read");
        let found: Vec<_> = files.found.iter().map(|path| path.strip_prefix(dir.path())).collect();
        assert_eq!(found, [Ok(Path::new("a/z.txt")), Ok(Path::new("b.txt"))]);
        assert_eq!((files.dotted, files.faults.len()), (2, 0));
        let dotted = Files::under(&dir.path().join(".DS_Store")).expect("asked for by name");
        assert_eq!(dotted.found.len(), 1);
        assert!(Files::under(&dir.path().join("none")).is_err());
    }

    #[cfg(unix)]
    #[test]
    fn what_is_no_file_is_told() {
        let dir = tempfile::tempdir().expect("a directory");
        std::os::unix::fs::symlink(dir.path(), dir.path().join("loop")).expect("linked");
        std::os::unix::fs::symlink("nowhere", dir.path().join("dead")).expect("linked");
        let files = Files::under(dir.path()).expect("read");
        assert_eq!((files.found.len(), files.faults.len()), (0, 2), "{:?}", files.faults);
    }
}
