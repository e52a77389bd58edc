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
use super::bits::Bits;
use crate::table::{self, Format, Table};

/// Rows that are copied at once, in bytes.
const SPAN_BYTES_MAX: u64 = 1 << 20;

/// A file as it was when it was read, and how many items it gave.
#[derive(Debug)]
pub(super) struct Stamp {
    pub items: u64,
    /// What it was, if it is one item.
    pub content: Option<ContentId>,
    length: u64,
    modified: Option<SystemTime>,
}

impl Stamp {
    pub(super) fn of(path: &Path) -> Self {
        let metadata = fs::metadata(path).ok();
        Self {
            items: 0,
            content: None,
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

/// What to write, of what, to where.
pub(super) struct Fix<'a> {
    /// What was scanned.
    pub root: &'a Path,
    pub files: &'a [PathBuf],
    pub stamps: &'a [Stamp],
    pub allowed: &'a Bits,
    pub target: &'a Path,
}

impl Fix<'_> {
    /// Writes it. `go_on` hears how many items are done, and may end it.
    pub(super) fn write(
        &self,
        go_on: impl Fn(u64) -> Result<(), ScanError>,
    ) -> Result<(), ScanError> {
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
        let mut first = 0;
        for (path, stamp) in self.files.iter().zip(self.stamps) {
            go_on(first)?;
            let items = first..first + stamp.items;
            first = items.end;
            let below = path.strip_prefix(self.root).unwrap_or(path);
            let target = if is_folder { whole.join(below) } else { whole.clone() };
            // Of a table alone the header is worth keeping.
            if !self.allowed.any(items.clone()) && (is_folder || Format::of(path).is_none()) {
                continue;
            }
            if let Some(parent) = target.parent() {
                fs::create_dir_all(parent).map_err(failed)?;
            }
            let tell = |done| go_on(done).is_ok();
            let made = self.file(path, &target, items, stamp, &tell).and_then(|()| {
                if stamp.is_of(path) { Ok(()) } else { Err("changed while it was scanned".into()) }
            });
            if let Err(why) = made {
                go_on(first)?;
                return Err(ScanError::Fix(path.clone(), why));
            }
        }
        if whole.exists() { fs::rename(&whole, self.target).map_err(failed) } else { Ok(()) }
    }

    fn file(
        &self,
        path: &Path,
        target: &Path,
        items: Range<u64>,
        stamp: &Stamp,
        tell: &dyn Fn(u64) -> bool,
    ) -> Result<(), String> {
        let failed = |error: io::Error| error.to_string();
        match Format::of(path) {
            None => {
                fs::copy(path, target).map_err(failed)?;
                let mut hasher = blake3::Hasher::new();
                hasher.update_reader(File::open(target).map_err(failed)?).map_err(failed)?;
                let copied = ContentId::from_bytes(*hasher.finalize().as_bytes());
                let same = stamp.content == Some(copied);
                if same { Ok(()) } else { Err("its bytes changed".to_owned()) }
            }
            Some(Format::Parquet) => {
                let file = File::create(target).map_err(failed)?;
                let rows = items.end - items.start;
                let keep = |row: u64| row < rows && self.allowed.has(items.start + row);
                let tell = |row| tell(items.start + row);
                table::parquet::copy_rows(path, file, rows, keep, tell).map(|_| ())
            }
            Some(format) => self.spans(path, format, target, items, tell),
        }
    }

    /// Copies the header and the allowed rows of a text table, byte for byte.
    fn spans(
        &self,
        path: &Path,
        format: Format,
        target: &Path,
        items: Range<u64>,
        tell: &dyn Fn(u64) -> bool,
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
        // Rows that follow each other are copied at once.
        let mut span = table.header();
        for item in items {
            // After a fault there are no more rows, and its item is not allowed.
            let Ok(Some(raw)) = table.next_row() else { break };
            if !self.allowed.has(item) {
                continue;
            }
            if span.end == raw.span.start && span.end - span.start < SPAN_BYTES_MAX {
                span.end = raw.span.end;
                continue;
            }
            copy(std::mem::replace(&mut span, raw.span)).map_err(failed)?;
            if !tell(item) {
                return Err("stopped".to_owned());
            }
        }
        copy(span).map_err(failed)?;
        out.flush().map_err(failed)
    }
}
