//! Why a file is not a table that can be used: which file, which line and column, what to do.
//!
//! Invariants: every message is one line, and quotes at most `QUOTED_CHARS_MAX` characters of the
//! file. What it is not: a list of everything wrong; the first fault ends the reading.

use std::fmt;
use std::path::{Path, PathBuf};

use consent::RowError;
use protocol::limits::{
    TABLE_COLUMNS_MAX, TABLE_NUMBERS_MAX, TABLE_RECORD_BYTES_MAX, TABLE_ROWS_MAX,
};

/// A fault in a file.
#[derive(Debug, thiserror::Error)]
#[error("{}: {fault}", path.display())]
pub struct TableError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    #[source]
    pub fault: TableFault,
}

/// What is wrong with a file. Lines count from 1, the header's line included.
#[derive(Debug, thiserror::Error)]
pub enum TableFault {
    /// The file is not there or may not be read.
    #[error("cannot be opened: {0}")]
    Open(std::io::Error),
    /// The file was there and then could not be read on.
    #[error("cannot be read: {0}")]
    Read(std::io::Error),
    /// The new file cannot be written.
    #[error("cannot be written: {0}")]
    Write(std::io::Error),
    /// Its name does not say that it is a table.
    #[error("is no table; a table's name ends in .csv (commas) or .tsv (tabs)")]
    Extension,
    /// Not text.
    #[error("line {line} is not UTF-8 text; save the file as UTF-8")]
    NotUtf8 {
        /// The line.
        line: u64,
    },
    /// A record longer than any record may be: perhaps a quote that is never closed.
    #[error(
        "the record at line {line} is longer than {TABLE_RECORD_BYTES_MAX} bytes; \
         is a quote never closed?"
    )]
    RecordTooLong {
        /// The line it begins at.
        line: u64,
    },
    /// The file ends within quotes.
    #[error("the record at line {line} opens a quote that is never closed")]
    OpenQuote {
        /// The line it begins at.
        line: u64,
    },
    /// Nothing in the file.
    #[error("is empty; the first line must name the columns")]
    NoHeader,
    /// A header and nothing else.
    #[error("has a header and no rows")]
    NoRows,
    /// A column without a name.
    #[error("column {at} has no name in the header; name it or leave it out")]
    UnnamedColumn {
        /// Its place, counted from 1.
        at: usize,
    },
    /// The header cannot be hashed with its rows, such as two columns of one name.
    #[error("{0}")]
    Form(#[from] RowError),
    /// More columns than are allowed.
    #[error("has {0} columns, at most {TABLE_COLUMNS_MAX} are allowed")]
    TooManyColumns(usize),
    /// More rows than are held in memory.
    #[error(
        "has more than {TABLE_ROWS_MAX} rows or {TABLE_NUMBERS_MAX} numbers, the most that are held \
         in memory; split the file"
    )]
    TooManyRows,
    /// A column that is needed is not there.
    #[error("has no column {name:?} ({role}); the columns are {columns}{}", hint(closest))]
    MissingColumn {
        /// The column's name.
        name: String,
        /// What it is needed for.
        role: &'static str,
        /// The columns there are, as text.
        columns: String,
        /// The one that was perhaps meant.
        closest: Option<String>,
    },
    /// Nothing to learn from.
    #[error("has no column beside the label {label:?}; a model needs at least one number a row")]
    NoFeatures {
        /// The label column.
        label: String,
    },
    /// A row shorter or longer than the header.
    #[error("line {line} has {found} values, the header has {expected} columns")]
    Ragged {
        /// The line.
        line: u64,
        /// Values on it.
        found: usize,
        /// Columns in the header.
        expected: usize,
    },
    /// Text, or nothing, where a number should be.
    #[error("line {line}, column {column:?}: {value:?} is not a number (such as 3, -0.5 or 1e-3)")]
    NotANumber {
        /// The line.
        line: u64,
        /// The column's name.
        column: String,
        /// What is there.
        value: Quoted,
    },
    /// NaN, an infinity, or a number that a 32-bit float cannot hold.
    #[error("line {line}, column {column:?}: {value:?} is not finite, or is beyond 3.4e38")]
    NotFinite {
        /// The line.
        line: u64,
        /// The column's name.
        column: String,
        /// What is there.
        value: Quoted,
    },
    /// No label.
    #[error("line {line}, column {column:?}: the label is empty")]
    EmptyLabel {
        /// The line.
        line: u64,
        /// The label column.
        column: String,
    },
    /// A label that the model does not know.
    #[error("line {line}, column {column:?}: {value:?} is none of the model's classes {classes}")]
    UnknownClass {
        /// The line.
        line: u64,
        /// The label column.
        column: String,
        /// What is there.
        value: Quoted,
        /// The classes, as text.
        classes: String,
    },
    /// More labels than a model tells apart.
    #[error("column {column:?} has more than {max} different labels; is it the label column?")]
    TooManyClasses {
        /// The label column.
        column: String,
        /// The most that are allowed.
        max: usize,
    },
    /// A row that was asked for is not there.
    #[error("has {rows} rows; there is no row {row}")]
    NoSuchRow {
        /// The row asked for, counted from 0.
        row: usize,
        /// Rows in the file.
        rows: usize,
    },
}

const QUOTED_CHARS_MAX: usize = 40;
const LISTED_MAX: usize = 12;

/// The beginning of a value from the file, short enough for a line.
#[derive(Clone, PartialEq, Eq)]
pub struct Quoted(String);

impl Quoted {
    /// At most the first 40 characters of `text`.
    pub fn new(text: &str) -> Self {
        let short: String = text.chars().take(QUOTED_CHARS_MAX).collect();
        Self(if short.len() < text.len() { short + "…" } else { short })
    }
}

impl fmt::Debug for Quoted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl TableFault {
    /// This fault, found in the file at `path`.
    pub(crate) fn at(self, path: &Path) -> TableError {
        TableError { path: path.to_path_buf(), fault: self }
    }

    /// A column that `columns` lack.
    pub(crate) fn missing_column(name: &str, role: &'static str, columns: &[String]) -> Self {
        let closest = columns
            .iter()
            .map(|column| (distance(&column.to_lowercase(), &name.to_lowercase()), column))
            .min()
            .filter(|(distance, _)| *distance <= 1 + name.chars().count() / 3)
            .map(|(_, column)| column.clone());
        let name = name.into();
        Self::MissingColumn { name, role, columns: listed(columns), closest }
    }
}

/// The first names of a list, quoted, and how many more there are.
pub(crate) fn listed(names: &[String]) -> String {
    let mut text = names
        .iter()
        .take(LISTED_MAX)
        .map(|name| format!("{:?}", Quoted::new(name)))
        .collect::<Vec<_>>()
        .join(", ");
    if names.len() > LISTED_MAX {
        text += &format!(" and {} more", names.len() - LISTED_MAX);
    }
    text
}

fn hint(closest: &Option<String>) -> String {
    closest.as_ref().map_or_else(String::new, |name| format!("; did you mean {name:?}?"))
}

/// Edits between two names (Levenshtein), of their first characters only.
fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().take(QUOTED_CHARS_MAX).collect();
    let b: Vec<char> = b.chars().take(QUOTED_CHARS_MAX).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(from != to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closest_column_is_suggested_and_a_stranger_is_not() {
        let columns = ["id", "Lable", "p0"].map(String::from);
        let fault = TableFault::missing_column("label", "the label", &columns);
        assert_eq!(
            fault.to_string(),
            "has no column \"label\" (the label); the columns are \"id\", \"Lable\", \"p0\"; \
             did you mean \"Lable\"?"
        );
        let fault = TableFault::missing_column("species", "the label", &columns);
        assert!(!fault.to_string().contains("did you mean"), "{fault}");
    }

    #[test]
    fn long_lists_and_values_stay_short() {
        let names: Vec<String> = (0..100).map(|at| format!("p{at}")).collect();
        assert!(listed(&names).ends_with("\"p11\" and 88 more"));
        assert_eq!(format!("{:?}", Quoted::new(&"x".repeat(99))).chars().count(), 43);
    }

    #[test]
    fn distances_are_edits() {
        assert_eq!(distance("lable", "label"), 2);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("same", "same"), 0);
    }
}
