//! Tables of any format, row after row: CSV, TSV, JSON Lines and Parquet.
//!
//! Role: `delimited`, `json_lines` and `parquet` read one row at a time; this module makes the row's
//! texts, and its content id, of what they read. A row's id is over all its columns
//! ([`consent::RowForm`]), whatever the format:
//!
//! | value | text |
//! |---|---|
//! | text | itself |
//! | a number of JSON or Parquet | its shortest form: `3`, `0.5`, `1.0`, `1e30` |
//! | `true`, `false` | the word |
//! | null | empty |
//! | a list or an object of JSON | JSON without spaces, keys sorted |
//! | bytes of Parquet | `blake3:` and the hex digits of their hash |
//! | anything else of Parquet | as the crate `parquet` shows it |
//!
//! Invariants: memory does not grow with the rows; a row that cannot be read is told and never
//! becomes another row; after a fault of the file itself nothing more is read. What it is not: the
//! trainer's reader of numbers (whose ids of CSV rows are the same).

mod delimited;
mod json_lines;
mod object;
pub(crate) mod parquet;
mod row;

use std::ops::Range;
use std::path::Path;

pub(crate) use row::{Row, RowForms};

/// The format of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// CSV or TSV.
    Delimited,
    /// One JSON object a line.
    JsonLines,
    /// Apache Parquet.
    Parquet,
}

impl Format {
    /// By the file's name; none if it is no table.
    pub(crate) fn of(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "csv" | "tsv" => Some(Self::Delimited),
            "jsonl" | "ndjson" => Some(Self::JsonLines),
            "parquet" => Some(Self::Parquet),
            _ => None,
        }
    }
}

/// A row as it was read, still to be made texts of.
#[derive(Debug)]
pub(crate) struct Raw {
    /// Its number, from 1; of JSON Lines the line's.
    pub number: u64,
    /// Where it is in the file, line ends included; empty for Parquet.
    pub span: Range<u64>,
    /// What it is.
    pub body: Body,
}

/// What was read of a row.
#[derive(Debug)]
pub(crate) enum Body {
    /// A line of JSON.
    Line(Vec<u8>),
    /// Values under a header.
    Values(std::sync::Arc<row::Names>, row::Values),
    /// Why it cannot be read.
    Bad(String),
}

impl Raw {
    /// About how much memory it takes, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        match &self.body {
            Body::Line(line) => line.len(),
            Body::Values(_, values) => values.bytes(),
            Body::Bad(why) => why.len(),
        }
    }
}

/// An open table.
#[derive(Debug)]
pub(crate) enum Table {
    /// CSV or TSV.
    Delimited(Box<delimited::Delimited>),
    /// JSON Lines.
    JsonLines(json_lines::JsonLines),
    /// Parquet.
    Parquet(parquet::Rows),
}

impl Table {
    /// Opens a table of this format; an error says in a line what is wrong, without the path.
    pub(crate) fn open(path: &Path, format: Format) -> Result<Self, String> {
        Ok(match format {
            Format::Delimited => Self::Delimited(Box::new(delimited::Delimited::open(path)?)),
            Format::JsonLines => Self::JsonLines(json_lines::JsonLines::open(path)?),
            Format::Parquet => Self::Parquet(parquet::Rows::open(path)?),
        })
    }

    /// The columns, where the file has a header.
    pub(crate) fn columns(&self) -> Option<&[String]> {
        match self {
            Self::Delimited(table) => Some(table.columns()),
            Self::JsonLines(_) => None,
            Self::Parquet(table) => Some(table.columns()),
        }
    }

    /// Where the header is in the file; empty if it has none.
    pub(crate) fn header(&self) -> Range<u64> {
        match self {
            Self::Delimited(table) => table.header(),
            Self::JsonLines(_) | Self::Parquet(_) => 0..0,
        }
    }

    /// How far it is read, of 0 to 1, where a row's place in the file does not tell.
    pub(crate) fn done(&self) -> Option<f64> {
        match self {
            Self::Delimited(_) | Self::JsonLines(_) => None,
            Self::Parquet(table) => Some(table.done()),
        }
    }

    /// The next row; an error says why the rest of the file cannot be read.
    pub(crate) fn next_row(&mut self) -> Result<Option<Raw>, String> {
        match self {
            Self::Delimited(table) => table.next_row(),
            Self::JsonLines(table) => table.next_row(),
            Self::Parquet(table) => table.next_row(),
        }
    }
}
