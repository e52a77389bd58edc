//! What is to be scanned, one raw item after another: files, rows of tables, and what is neither.
//!
//! Invariants: the same items in the same order each time; each item is of one file; whatever cannot
//! be read is an item. What it is not: a look at an item (see `item`).

use std::path::PathBuf;

use protocol::limits::{SCAN_BATCH_BYTES_MAX, SCAN_BATCH_ITEMS};

use crate::api::dto::ScanColumns;
use crate::table::{Format, Raw, Table};

/// What a file counts for in a batch, beside its own bytes: its fingerprints are larger than a row's.
const FILE_BYTES: usize = SCAN_BATCH_BYTES_MAX / 64;

/// Something to look at.
#[derive(Debug)]
pub(super) enum RawItem {
    /// A file that is no table; its number among the files.
    File(usize),
    /// A row of a table.
    Row(usize, Raw),
    /// A table that cannot be read, or not further.
    Broken(usize, String),
}

impl RawItem {
    /// The number of its file.
    pub(super) const fn file(&self) -> usize {
        match self {
            Self::File(file) | Self::Row(file, _) | Self::Broken(file, _) => *file,
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::File(_) => FILE_BYTES,
            Self::Row(_, raw) => raw.bytes(),
            Self::Broken(_, why) => why.len(),
        }
    }
}

/// The items of files, in order.
#[derive(Debug)]
pub(super) struct Source<'a> {
    files: &'a [PathBuf],
    columns: &'a ScanColumns,
    at: usize,
    table: Option<Table>,
    /// How far the file is read, for progress.
    read: Read,
}

/// How far a file is read.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Read {
    /// Up to this byte.
    Bytes(u64),
    /// Of 0 to 1.
    Part(f64),
}

impl<'a> Source<'a> {
    pub(super) const fn new(files: &'a [PathBuf], columns: &'a ScanColumns) -> Self {
        Self { files, columns, at: 0, table: None, read: Read::Bytes(0) }
    }

    /// The next items, at least one; none at the end.
    pub(super) fn batch(&mut self) -> Vec<RawItem> {
        let (mut items, mut bytes) = (Vec::new(), 0);
        while items.len() < SCAN_BATCH_ITEMS && bytes < SCAN_BATCH_BYTES_MAX {
            let Some(item) = self.item() else { break };
            bytes += item.bytes();
            items.push(item);
        }
        items
    }

    /// The number of the file that is read now, and how far it is.
    pub(super) const fn position(&self) -> (usize, Read) {
        (self.at, self.read)
    }

    fn item(&mut self) -> Option<RawItem> {
        loop {
            let at = self.at;
            if let Some(table) = &mut self.table {
                match table.next_row() {
                    Ok(Some(raw)) => {
                        self.read = table.done().map_or(Read::Bytes(raw.span.end), Read::Part);
                        return Some(RawItem::Row(at, raw));
                    }
                    Ok(None) => self.next_file(),
                    Err(why) => {
                        self.next_file();
                        return Some(RawItem::Broken(at, why));
                    }
                }
                continue;
            }
            let path = self.files.get(at)?;
            let Some(format) = Format::of(path) else {
                self.next_file();
                return Some(RawItem::File(at));
            };
            match Table::open(path, format).and_then(|table| self.with_columns(table)) {
                Ok(table) => self.table = Some(table),
                Err(why) => {
                    self.next_file();
                    return Some(RawItem::Broken(at, why));
                }
            }
        }
    }

    fn next_file(&mut self) {
        (self.at, self.table, self.read) = (self.at + 1, None, Read::Bytes(0));
    }

    /// The table, if its header has the columns that were named.
    fn with_columns(&self, table: Table) -> Result<Table, String> {
        let ScanColumns { content, url, author, licence } = self.columns;
        for name in [content, url, author, licence].into_iter().flatten() {
            if let Some(columns) = table.columns().filter(|columns| !columns.contains(name)) {
                return Err(missing(name, columns));
            }
        }
        Ok(table)
    }
}

/// That a column is not there.
pub(super) fn missing(name: &str, columns: &[String]) -> String {
    const SHOWN: usize = 12;
    let shown: Vec<&str> = columns.iter().take(SHOWN).map(String::as_str).collect();
    let more = if columns.len() > SHOWN { ", ..." } else { "" };
    format!("has no column {name:?}; its columns are {}{more}", shown.join(", "))
}
