//! Content ids: of a file's bytes, and of a table's row in canonical form.
//!
//! The canonical form of a row, hashed with blake3:
//!
//! ```text
//! "accord/row/v1\n"
//! u64  number of columns
//! for each column, in the byte order of the names' UTF-8:
//!     u64 length of the name in bytes,  the name in UTF-8
//!     u64 length of the value in bytes, the value in UTF-8
//! ```
//!
//! Integers are little endian. In names and values CR LF and a lone CR are written as LF, so a table
//! saved by another program keeps its ids. Lengths are those after this.
//!
//! Invariants: equal rows have equal ids whatever the order of columns, the quoting or the line
//! ends; no two different rows share a form. What it is not: a reader of CSV (the caller gives
//! parsed fields), nor a judge of numbers: `1` and `1.0` are different values, and a space counts.

use std::borrow::Cow;

use protocol::ContentId;

const MAGIC: &[u8] = b"accord/row/v1\n";

/// Why fields are not a row.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RowError {
    /// Two columns of one name: which value belongs to which cannot be told.
    #[error("the column {0:?} is there twice; give each column its own name")]
    DuplicateColumn(String),
    /// Nothing to hash.
    #[error("a row needs at least one column")]
    NoColumns,
    /// The row is shorter or longer than the header.
    #[error("the row has {values} values and the header {columns} columns")]
    Ragged {
        /// Values in the row.
        values: usize,
        /// Columns in the header.
        columns: usize,
    },
}

/// The columns of a table, sorted once, to hash many rows.
#[derive(Debug, Clone)]
pub struct RowForm {
    head: blake3::Hasher,
    /// In canonical order: where the column's value stands in a row, and the name's bytes.
    columns: Vec<(usize, Vec<u8>)>,
}

impl RowForm {
    /// The form of rows with these columns, in the table's order.
    pub fn new<S: AsRef<str>>(columns: &[S]) -> Result<Self, RowError> {
        let mut sorted: Vec<(usize, String)> = columns
            .iter()
            .enumerate()
            .map(|(at, name)| (at, line_feeds(name.as_ref()).into_owned()))
            .collect();
        sorted.sort_by(|a, b| a.1.cmp(&b.1));
        if sorted.is_empty() {
            return Err(RowError::NoColumns);
        }
        if let Some(twice) = sorted.windows(2).find(|pair| pair[0].1 == pair[1].1) {
            return Err(RowError::DuplicateColumn(twice[0].1.chars().take(80).collect()));
        }
        let mut head = blake3::Hasher::new();
        head.update(MAGIC).update(&length(sorted.len()));
        let columns = sorted.into_iter().map(|(at, name)| {
            let name = name.into_bytes();
            (at, [length(name.len()).as_slice(), name.as_slice()].concat())
        });
        Ok(Self { head, columns: columns.collect() })
    }

    /// The content id of the row with these values, in the order of the columns given to `new`.
    pub fn content_id<S: AsRef<str>>(&self, values: &[S]) -> Result<ContentId, RowError> {
        if values.len() != self.columns.len() {
            let (values, columns) = (values.len(), self.columns.len());
            return Err(RowError::Ragged { values, columns });
        }
        let mut hasher = self.head.clone();
        for (at, name) in &self.columns {
            let value = line_feeds(values[*at].as_ref());
            hasher.update(name).update(&length(value.len())).update(value.as_bytes());
        }
        Ok(ContentId::from_bytes(*hasher.finalize().as_bytes()))
    }
}

/// The content id of one row of `(column name, value)` pairs.
pub fn row_content_id(columns: &[(&str, &str)]) -> Result<ContentId, RowError> {
    let (names, values): (Vec<&str>, Vec<&str>) = columns.iter().copied().unzip();
    RowForm::new(&names)?.content_id(&values)
}

/// The content id of a file: blake3 of its bytes, which is also its ISCC datahash (ISO 24138).
pub fn file_content_id(bytes: &[u8]) -> ContentId {
    ContentId::of(bytes)
}

fn length(bytes: usize) -> [u8; 8] {
    (bytes as u64).to_le_bytes()
}

fn line_feeds(text: &str) -> Cow<'_, str> {
    if text.contains('\r') {
        Cow::Owned(text.replace("\r\n", "\n").replace('\r', "\n"))
    } else {
        Cow::Borrowed(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_is_pinned() {
        let mut form = b"accord/row/v1\n".to_vec();
        form.extend([2, 0, 0, 0, 0, 0, 0, 0]);
        form.extend([1, 0, 0, 0, 0, 0, 0, 0, b'a', 2, 0, 0, 0, 0, 0, 0, 0, b'1', b'2']);
        form.extend([1, 0, 0, 0, 0, 0, 0, 0, b'b', 0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(row_content_id(&[("b", ""), ("a", "12")]), Ok(ContentId::of(&form)));
    }

    #[test]
    fn order_and_line_ends_do_not_count() {
        let id = row_content_id(&[("text", "one\ntwo"), ("label", "3")]);
        assert_eq!(id, row_content_id(&[("label", "3"), ("text", "one\r\ntwo")]));
        assert_eq!(id, row_content_id(&[("label", "3"), ("text", "one\rtwo")]));
        assert_ne!(id, row_content_id(&[("label", "3 "), ("text", "one\ntwo")]));
    }

    #[test]
    fn fields_do_not_run_together() {
        assert_ne!(
            row_content_id(&[("a", "1"), ("b", "2")]),
            row_content_id(&[("a", "1b"), ("", "2")])
        );
        assert_ne!(row_content_id(&[("a", "bc")]), row_content_id(&[("ab", "c")]));
    }

    #[test]
    fn what_is_no_row_is_refused() {
        assert_eq!(row_content_id(&[]), Err(RowError::NoColumns));
        assert_eq!(
            row_content_id(&[("a\r\n", "1"), ("a\n", "2")]),
            Err(RowError::DuplicateColumn("a\n".into()))
        );
        let form = RowForm::new(&["a", "b"]).expect("two columns");
        assert_eq!(form.content_id(&["1"]), Err(RowError::Ragged { values: 1, columns: 2 }));
    }
}
