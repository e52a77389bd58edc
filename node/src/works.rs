//! The works under a path: of a table each row is one, any other file is one.
//!
//! Invariants: files in a fixed order; a file that cannot be read is an error, never skipped.
//! What it is not: their use.

use std::io;
use std::path::{Path, PathBuf};

use protocol::ContentId;

/// Why works could not be listed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WorksError {
    /// A file or directory could not be read.
    #[error("cannot read {0}: {1}")]
    Read(PathBuf, io::Error),
    /// A file's works could not be told.
    #[error(transparent)]
    File(#[from] trainer::TableError),
    /// There is nothing there.
    #[error("{0} holds no files")]
    Empty(PathBuf),
}

/// A work and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Work {
    /// The file, with the row if it is a table's.
    pub place: String,
    /// Its content id.
    pub content: ContentId,
}

/// The works in a file, or in all files under a directory.
pub(crate) fn works_under(path: &Path) -> Result<Vec<Work>, WorksError> {
    let mut found = Vec::new();
    let mut waiting = vec![path.to_owned()];
    while let Some(path) = waiting.pop() {
        let read = |e| WorksError::Read(path.clone(), e);
        if std::fs::metadata(&path).map_err(read)?.is_dir() {
            let entries: Result<Vec<_>, _> = std::fs::read_dir(&path).map_err(read)?.collect();
            let mut inside: Vec<PathBuf> =
                entries.map_err(read)?.into_iter().map(|entry| entry.path()).collect();
            inside.sort();
            waiting.extend(inside.into_iter().rev());
        } else {
            let works = trainer::data::works(&path)?;
            let is_table = is_table(&path);
            let places = works.into_iter().enumerate().map(|(row, content)| {
                let file = path.display();
                // The header is line 1.
                let place =
                    if is_table { format!("{file} row {}", row + 1) } else { file.to_string() };
                Work { place, content }
            });
            found.extend(places);
        }
    }
    if found.is_empty() { Err(WorksError::Empty(path.to_owned())) } else { Ok(found) }
}

fn is_table(path: &Path) -> bool {
    let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
    extension.eq_ignore_ascii_case("csv") || extension.eq_ignore_ascii_case("tsv")
}
