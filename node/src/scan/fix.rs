//! The allowed subset of what was scanned, in the format that it had.
//!
//! Of a folder, a folder: files are copied (a link would let a later change of the one change the
//! other), tables are cut down to their allowed rows, and files of which nothing is allowed are left
//! out. Of a table, a table: CSV, TSV and JSON Lines byte for byte, Parquet with the same schema.
//!
//! Invariants: a file's copy has the bytes that were decided on; a table that changed since it was
//! read is an error; nothing appears under the wished name before all of it is written, and what is
//! there is never replaced. What it is not: a decision.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use protocol::ContentId;

use super::ScanError;
use super::item::State;
use super::spool::Spool;
use crate::table::{self, Format, Table};

/// A file as it was when it was read, and how many items it gave.
#[derive(Debug)]
pub(super) struct Stamp {
    pub items: u64,
    length: u64,
    modified: Option<SystemTime>,
}

impl Stamp {
    pub(super) fn of(path: &Path) -> Self {
        let metadata = fs::metadata(path).ok();
        Self {
            items: 0,
            length: metadata.as_ref().map_or(0, fs::Metadata::len),
            modified: metadata.and_then(|metadata| metadata.modified().ok()),
        }
    }

    /// The length of the file in bytes.
    pub(super) const fn length(&self) -> u64 {
        self.length
    }

    fn is_of(&self, path: &Path) -> bool {
        let now = Self::of(path);
        (now.length, now.modified) == (self.length, self.modified)
    }
}

/// Which items are allowed: a bit for each.
#[derive(Debug, Default)]
pub(super) struct Allowed {
    bits: Vec<u64>,
    items: u64,
}

impl Allowed {
    pub(super) fn push(&mut self, allowed: bool) {
        if self.items.is_multiple_of(64) {
            self.bits.push(0);
        }
        if let Some(last) = self.bits.last_mut() {
            *last |= u64::from(allowed) << (self.items % 64);
        }
        self.items += 1;
    }

    fn has(&self, item: u64) -> bool {
        self.bits.get((item / 64) as usize).is_some_and(|bits| bits >> (item % 64) & 1 == 1)
    }

    fn any(&self, items: Range<u64>) -> bool {
        items.into_iter().any(|item| self.has(item))
    }
}

/// What to write, of what, to where.
pub(super) struct Fix<'a> {
    /// What was scanned.
    pub root: &'a Path,
    pub files: &'a [PathBuf],
    pub stamps: &'a [Stamp],
    pub allowed: &'a Allowed,
    pub target: &'a Path,
}

impl Fix<'_> {
    /// Writes it.
    pub(super) fn write(&self, spool: &mut Spool) -> Result<(), ScanError> {
        if self.target.exists() {
            return Err(ScanError::InTheWay(self.target.to_owned()));
        }
        let failed = |error| ScanError::Write(self.target.to_owned(), error);
        let parent = self.target.parent().filter(|parent| !parent.as_os_str().is_empty());
        let parent = parent.unwrap_or_else(|| Path::new("."));
        let room =
            tempfile::Builder::new().prefix(".accord-").tempdir_in(parent).map_err(failed)?;
        let is_folder = fs::metadata(self.root).map_err(failed)?.is_dir();
        let whole = room.path().join("whole");
        if is_folder {
            fs::create_dir(&whole).map_err(failed)?;
        }
        let mut contents = Contents::new(spool).map_err(ScanError::Spool)?;
        let mut first = 0;
        for (path, stamp) in self.files.iter().zip(self.stamps) {
            let items = first..first + stamp.items;
            first = items.end;
            let content = contents.skip(stamp.items).map_err(ScanError::Spool)?;
            let below = path.strip_prefix(self.root).unwrap_or(path);
            let target = if is_folder { whole.join(below) } else { whole.clone() };
            // Of a table alone the header is worth keeping.
            if !self.allowed.any(items.clone()) && (is_folder || Format::of(path).is_none()) {
                continue;
            }
            if let Some(parent) = target.parent() {
                fs::create_dir_all(parent).map_err(failed)?;
            }
            let made = self.file(path, &target, items, content).and_then(|()| {
                if stamp.is_of(path) { Ok(()) } else { Err("changed while it was scanned".into()) }
            });
            made.map_err(|why| ScanError::Fix(path.clone(), why))?;
        }
        if whole.exists() { fs::rename(&whole, self.target).map_err(failed) } else { Ok(()) }
    }

    fn file(
        &self,
        path: &Path,
        target: &Path,
        items: Range<u64>,
        content: Option<ContentId>,
    ) -> Result<(), String> {
        let failed = |error: io::Error| error.to_string();
        match Format::of(path) {
            None => {
                fs::copy(path, target).map_err(failed)?;
                let mut hasher = blake3::Hasher::new();
                hasher.update_reader(File::open(target).map_err(failed)?).map_err(failed)?;
                let copied = ContentId::from_bytes(*hasher.finalize().as_bytes());
                if content == Some(copied) { Ok(()) } else { Err("its bytes changed".to_owned()) }
            }
            Some(Format::Parquet) => {
                let keep =
                    |row: u64| items.start + row < items.end && self.allowed.has(items.start + row);
                let file = File::create(target).map_err(failed)?;
                table::parquet::copy_rows(path, file, keep).map(|_| ())
            }
            Some(format) => self.spans(path, format, target, items),
        }
    }

    /// Copies the header and the allowed rows of a text table, byte for byte.
    fn spans(
        &self,
        path: &Path,
        format: Format,
        target: &Path,
        items: Range<u64>,
    ) -> Result<(), String> {
        let failed = |error: io::Error| error.to_string();
        let mut table = Table::open(path, format)?;
        let mut source = BufReader::new(File::open(path).map_err(failed)?);
        let mut out = BufWriter::new(File::create(target).map_err(failed)?);
        let mut at = 0;
        let mut copy = |span: Range<u64>| -> io::Result<()> {
            let ahead = i64::try_from(span.start - at).map_err(io::Error::other)?;
            source.seek_relative(ahead)?;
            let copied = io::copy(&mut (&mut source).take(span.end - span.start), &mut out)?;
            at = span.start + copied;
            Ok(())
        };
        copy(table.header()).map_err(failed)?;
        for item in items {
            // After a fault there are no more rows, and its item is not allowed.
            let Ok(Some(raw)) = table.next_row() else { break };
            if self.allowed.has(item) {
                copy(raw.span).map_err(failed)?;
            }
        }
        out.flush().map_err(failed)
    }
}

/// The ids of items as they were read.
struct Contents<'a> {
    reading: super::spool::Reading<'a>,
    batch: std::vec::IntoIter<super::item::Item>,
}

impl<'a> Contents<'a> {
    fn new(spool: &'a mut Spool) -> io::Result<Self> {
        Ok(Self { reading: spool.read()?, batch: Vec::new().into_iter() })
    }

    /// Goes `items` further; returns the id of the first of them.
    fn skip(&mut self, items: u64) -> io::Result<Option<ContentId>> {
        let mut first = None;
        for at in 0..items {
            let item = loop {
                match self.batch.next() {
                    Some(item) => break item,
                    None => self.batch = self.reading.batch()?.into_iter(),
                }
                if self.batch.len() == 0 {
                    return Err(io::Error::other("fewer items than were put aside"));
                }
            };
            if let (0, State::Read(works, _)) = (at, &item.state) {
                first = works.first().map(|known| known.content);
            }
        }
        Ok(first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bit_for_each_item() {
        let mut allowed = Allowed::default();
        (0..200).for_each(|item| allowed.push(item % 3 == 0));
        assert!((0..200).all(|item| allowed.has(item) == (item % 3 == 0)));
        assert!(!allowed.has(200) && allowed.any(64..67) && !allowed.any(64..66));
    }
}
