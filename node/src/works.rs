//! The works under a path: of a table each row is one, any other file is one.
//!
//! Invariants: files in a fixed order; a file that cannot be read is told with the works, and none
//! of it is among them. What it is not: their use, or a look at millions of them (see `scan`).

use std::io;
use std::path::{Path, PathBuf};

use protocol::ContentId;
use protocol::limits::TABLE_ROWS_MAX;
use rayon::prelude::*;

use crate::api::ProgressSender;
use crate::files::Files;
use crate::likeness::Likeness;
use crate::seen::Seen;
use crate::table::{Format, RowForms, Table};

/// Files looked at, on all cores, before the next are.
const FILES_AT_ONCE: usize = 64;

/// Why works could not be listed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WorksError {
    /// The path could not be read.
    #[error("cannot read {0}: {1}")]
    Read(PathBuf, io::Error),
    /// A file's works could not be told.
    #[error("{0}")]
    File(String),
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
    /// What it is alike to; none of rows, where nothing is known, and where it was not asked for.
    pub likeness: Option<Box<Likeness>>,
}

/// The works under a path, and what is not among them.
#[derive(Debug, Default)]
pub(crate) struct Works {
    /// The works, in order.
    pub works: Vec<Work>,
    /// Files that they are in.
    pub files: u64,
    /// Names with a dot that were left out.
    pub dotted: u64,
    /// Files that cannot be read, each in one line.
    pub faults: Vec<String>,
    /// Files of which only the exact bytes are known, though they should be more: each in one line.
    pub unlike: Vec<String>,
}

impl Works {
    /// Of a file, or of all files under a directory; their likeness only if it is asked for.
    pub(crate) fn under(
        path: &Path,
        likeness: bool,
        progress: &ProgressSender,
    ) -> Result<Self, WorksError> {
        let files = Files::under(path).map_err(|e| WorksError::Read(path.to_owned(), e))?;
        if files.found.is_empty() && files.faults.is_empty() {
            return Err(WorksError::Empty(path.to_owned()));
        }
        let mut all = Self { dotted: files.dotted, faults: files.faults, ..Self::default() };
        let total = Some(files.found.len() as u64);
        for (done, some) in files.found.chunks(FILES_AT_ONCE).enumerate() {
            if done > 0 {
                progress.send("reading", (done * FILES_AT_ONCE) as u64, total, "files");
            }
            let seen: Vec<_> = some.par_iter().map(|file| of_file(file, likeness)).collect();
            for (file, seen) in some.iter().zip(seen) {
                match seen {
                    Ok((works, unlike)) => {
                        all.files += 1;
                        all.works.extend(works);
                        all.unlike.extend(unlike);
                    }
                    Err(why) => all.faults.push(format!("{}: {why}", file.display())),
                }
            }
        }
        Ok(all)
    }

    /// The works, if nothing among them could not be read.
    pub(crate) fn whole(self) -> Result<Vec<Work>, WorksError> {
        match self.faults.into_iter().next() {
            Some(fault) => Err(WorksError::File(fault)),
            None => Ok(self.works),
        }
    }
}

/// The works of one file, and why the likeness of one is not known.
fn of_file(path: &Path, likeness: bool) -> Result<(Vec<Work>, Option<String>), String> {
    if let Some(format) = Format::of(path) {
        return of_table(path, format).map(|works| (works, None));
    }
    let place = path.display().to_string();
    let (mut alike, mut unlike) = (None, None);
    let seen = Seen::at(path)?;
    if likeness {
        match seen.likeness {
            Ok(likeness) if likeness == Likeness::default() => {}
            Ok(likeness) => alike = Some(Box::new(likeness)),
            Err(why) => unlike = Some(format!("{place}: {why}")),
        }
    }
    Ok((vec![Work { place, content: seen.content, likeness: alike }], unlike))
}

fn of_table(path: &Path, format: Format) -> Result<Vec<Work>, String> {
    let mut table = Table::open(path, format)?;
    let (mut forms, mut works) = (RowForms::default(), Vec::new());
    while let Some(raw) = table.next_row()? {
        if works.len() == TABLE_ROWS_MAX {
            return Err(format!("has more than {TABLE_ROWS_MAX} rows; split the file"));
        }
        let number = raw.number;
        let row = forms.row(&raw).map_err(|why| format!("row {number}: {why}"))?;
        let place = format!("{} row {number}", path.display());
        works.push(Work { place, content: row.content, likeness: None });
    }
    if works.is_empty() { Err("has no rows".to_owned()) } else { Ok(works) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_that_cannot_be_read_does_not_stop_the_others() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = |name: &str, text: &str| {
            std::fs::write(dir.path().join(name), text).expect("written");
        };
        file("bad.csv", "a,b\n1\n");
        file("good.csv", "a,b\n1,2\n3,4\n");
        file("rows.jsonl", "{\"b\": 2, \"a\": \"1\"}\n");
        file("text.txt", "hello");
        let works = Works::under(dir.path(), false, &ProgressSender::none()).expect("read");
        assert_eq!((works.works.len(), works.files, works.faults.len()), (4, 3, 1));
        assert!(works.faults[0].contains("bad.csv: line 2 has 1 values"), "{:?}", works.faults);
        assert_eq!(works.works[0].content, works.works[2].content, "one row in two formats");
        assert!(works.works[2].place.ends_with("rows.jsonl row 1"));
        assert!(works.whole().is_err());
        let none = Works::under(&dir.path().join("none"), false, &ProgressSender::none());
        assert!(matches!(none, Err(WorksError::Read(..))));
    }
}
