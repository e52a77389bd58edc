//! Small files of a log, a witness or the ledger: written whole and durable, or not at all.
//!
//! Invariants: when a write returns, the file, its name and the directories above it survive a power
//! cut. What it is not: aware of what is in them.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::home::sync_dir;

/// Why a file could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error("cannot {doing} {path}: {source}")]
pub struct FileError {
    /// What was tried.
    doing: &'static str,
    /// On what.
    path: PathBuf,
    /// Why not.
    source: io::Error,
}

impl FileError {
    fn of(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self { doing, path, source }
    }
}

/// Writes a file for its owner, replacing what was there.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    let (file, dir) = temporary(path, bytes)?;
    file.persist(path).map_err(|e| FileError::of("write", path)(e.error))?;
    sync_dir(&dir).map_err(FileError::of("write", path))
}

/// Writes a file for its owner unless there is one; says whether it wrote.
pub(crate) fn write_new(path: &Path, bytes: &[u8]) -> Result<bool, FileError> {
    let (file, dir) = temporary(path, bytes)?;
    match file.persist_noclobber(path) {
        Ok(_) => sync_dir(&dir).map(|()| true).map_err(FileError::of("write", path)),
        Err(e) if e.error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(e) => Err(FileError::of("write", path)(e.error)),
    }
}

/// Removes a file, if it is there; it is gone for good when this returns.
pub(crate) fn remove(path: &Path) -> Result<(), FileError> {
    let dir = path.parent().unwrap_or_else(|| Path::new("."));
    match fs::remove_file(path) {
        Ok(()) => sync_dir(dir).map_err(FileError::of("flush", dir)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(FileError::of("remove", path)(e)),
    }
}

/// Reads a file of at most `bytes_max` bytes.
pub(crate) fn read(path: &Path, bytes_max: usize) -> Result<Vec<u8>, FileError> {
    read_if_there(path, bytes_max)?
        .ok_or_else(|| FileError::of("read", path)(io::ErrorKind::NotFound.into()))
}

/// Reads a file, if there is one.
pub(crate) fn read_if_there(path: &Path, bytes_max: usize) -> Result<Option<Vec<u8>>, FileError> {
    let length = match fs::metadata(path) {
        Ok(file) => file.len(),
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(FileError::of("read", path)(e)),
    };
    if length > bytes_max as u64 {
        let long = io::Error::other(format!("it has {length} bytes, more than {bytes_max}"));
        return Err(FileError::of("read", path)(long));
    }
    fs::read(path).map(Some).map_err(FileError::of("read", path))
}

/// Makes a directory and those above it, each durable.
pub(crate) fn make_dir(dir: &Path) -> Result<(), FileError> {
    if dir.is_dir() {
        return Ok(());
    }
    let above = dir.parent().unwrap_or_else(|| Path::new("."));
    make_dir(above)?;
    match fs::create_dir(dir) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => Err(FileError::of("make", dir)(e)),
        _ => sync_dir(above).map_err(FileError::of("make", dir)),
    }
}

/// The names in a directory, sorted.
pub(crate) fn names(dir: &Path) -> Result<Vec<PathBuf>, FileError> {
    let entries = fs::read_dir(dir).and_then(Iterator::collect::<io::Result<Vec<_>>>);
    let entries = entries.map_err(FileError::of("read", dir))?;
    let mut paths: Vec<PathBuf> = entries.into_iter().map(|entry| entry.path()).collect();
    paths.sort();
    Ok(paths)
}

/// A whole, synced file beside `path`, which has not its name yet.
fn temporary(path: &Path, bytes: &[u8]) -> Result<(tempfile::NamedTempFile, PathBuf), FileError> {
    let io = || FileError::of("write", path);
    let dir = path.parent().unwrap_or_else(|| Path::new("."));
    make_dir(dir)?;
    let mut file = tempfile::Builder::new().tempfile_in(dir).map_err(io())?;
    file.write_all(bytes).map_err(io())?;
    File::sync_all(file.as_file()).map_err(io())?;
    Ok((file, dir.to_owned()))
}
