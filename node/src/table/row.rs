//! A row as texts, with its content id.
//!
//! Invariants: two columns of one name are an error, in every format; a row borrows what was read, so
//! that millions of rows are few pieces of memory. What it is not: the spelling of numbers (see the
//! module above), or a reader of JSON's objects (see `object`).

use std::borrow::Cow;
use std::sync::Arc;

use consent::{RowError, RowForm};
use protocol::ContentId;

use super::object::Object;
use super::{Body, Raw};

/// The columns of a table, in its order.
#[derive(Debug)]
pub(crate) struct Names {
    columns: Vec<String>,
    form: RowForm,
}

impl Names {
    pub(super) fn new(columns: Vec<String>) -> Result<Self, RowError> {
        Ok(Self { form: RowForm::new(&columns)?, columns })
    }

    pub(super) fn columns(&self) -> &[String] {
        &self.columns
    }
}

/// The values of a row, one behind the other.
#[derive(Debug, Default)]
pub(crate) struct Values {
    text: String,
    bytes: Vec<u8>,
    ends: Vec<End>,
}

/// Where a value ends.
#[derive(Debug, Clone, Copy)]
enum End {
    Text(usize),
    Bytes(usize),
}

impl Values {
    /// Adds a text.
    pub(super) fn push_text(&mut self, text: &str) {
        self.text.push_str(text);
        self.ends.push(End::Text(self.text.len()));
    }

    /// Adds bytes.
    pub(super) fn push_bytes(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        self.ends.push(End::Bytes(self.bytes.len()));
    }

    /// Adds the text that is written behind the others.
    pub(super) fn push_written<E>(
        &mut self,
        write: impl FnOnce(&mut String) -> Result<(), E>,
    ) -> Result<(), E> {
        write(&mut self.text)?;
        self.ends.push(End::Text(self.text.len()));
        Ok(())
    }

    /// How many bytes they have.
    pub(super) const fn bytes(&self) -> usize {
        self.text.len() + self.bytes.len()
    }

    fn cells(&self) -> impl Iterator<Item = Cell<'_>> {
        let (mut text, mut bytes) = (0, 0);
        self.ends.iter().map(move |end| match *end {
            End::Text(end) => {
                Cell::Text(Cow::Borrowed(&self.text[std::mem::replace(&mut text, end)..end]))
            }
            End::Bytes(end) => Cell::Bytes(&self.bytes[std::mem::replace(&mut bytes, end)..end]),
        })
    }
}

/// A value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Cell<'a> {
    /// Text, or what is written as text.
    Text(Cow<'a, str>),
    /// Bytes: a picture in a table.
    Bytes(&'a [u8]),
}

impl Cell<'_> {
    /// Its bytes.
    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Bytes(bytes) => bytes,
        }
    }

    /// What of it counts in the row's id.
    fn text(&self) -> Cow<'_, str> {
        match self {
            Self::Text(text) => Cow::Borrowed(text),
            Self::Bytes(bytes) => format!("blake3:{}", blake3::hash(bytes).to_hex()).into(),
        }
    }
}

/// A row.
#[derive(Debug)]
pub(crate) struct Row<'a> {
    /// The id over all its columns.
    pub content: ContentId,
    names: Arc<Names>,
    values: Vec<Cell<'a>>,
}

impl Row<'_> {
    /// The value in a column.
    pub(crate) fn value(&self, column: &str) -> Option<&Cell<'_>> {
        let at = self.names.columns.iter().position(|name| name == column)?;
        self.values.get(at)
    }

    /// The columns, in the row's order.
    pub(crate) fn columns(&self) -> &[String] {
        &self.names.columns
    }
}

/// Makes rows of what was read; one for each thread, as it remembers the last row's columns.
#[derive(Debug, Default)]
pub(crate) struct RowForms(Option<Arc<Names>>);

impl RowForms {
    /// The row; why there is none, if it cannot be understood.
    pub(crate) fn row<'a>(&mut self, raw: &'a Raw) -> Result<Row<'a>, String> {
        let (names, values) = match &raw.body {
            Body::Bad(why) => return Err(why.clone()),
            Body::Values(names, values) => (Arc::clone(names), values.cells().collect()),
            Body::Line(line) => {
                let known = self.0.as_deref().map_or(&[][..], Names::columns);
                let object = Object::read(line, known).map_err(|error| {
                    format!("not a JSON object: {}", error.to_string().replace(" line 1", ""))
                })?;
                (self.names(object.columns)?, object.values)
            }
        };
        let texts: Vec<Cow<'_, str>> = values.iter().map(Cell::text).collect();
        let content = names.form.content_id(&texts).map_err(|error| error.to_string())?;
        drop(texts);
        Ok(Row { content, names, values })
    }

    /// Those of the last row, if no others are given.
    fn names(&mut self, others: Option<Vec<String>>) -> Result<Arc<Names>, String> {
        match (&self.0, others) {
            (Some(names), None) => Ok(Arc::clone(names)),
            (_, others) => {
                let names = Names::new(others.unwrap_or_default());
                let names = Arc::new(names.map_err(|error| error.to_string())?);
                Ok(Arc::clone(self.0.insert(names)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use consent::row_content_id;

    fn raw(line: &str) -> Raw {
        Raw { number: 1, span: 0..0, body: Body::Line(line.as_bytes().to_vec()) }
    }

    fn row(line: &str) -> Result<ContentId, String> {
        RowForms::default().row(&raw(line)).map(|row| row.content)
    }

    #[test]
    fn a_line_of_json_is_the_row_of_its_texts() {
        let line =
            r#"{"n": 1.0, "t": "a\"b", "o": {"b": 1, "a": [true, null]}, "x": null, "i": 3}"#;
        let same = row_content_id(&[
            ("i", "3"),
            ("n", "1.0"),
            ("o", r#"{"a":[true,null],"b":1}"#),
            ("t", "a\"b"),
            ("x", ""),
        ]);
        assert_eq!(row(line), same.map_err(|error| error.to_string()));
    }

    #[test]
    fn what_is_no_row_is_said_in_a_line() {
        for (line, said) in [
            ("[1]", "expected an object"),
            (r#"{"a": 1, "a": 2}"#, "\"a\" is there twice"),
            (r#"{"a": "#, "EOF"),
            (r#"{"a": 1} {"b": 2}"#, "trailing"),
            ("{}", "at least one column"),
        ] {
            let error = row(line).expect_err(line);
            assert!(error.contains(said) && !error.contains('\n'), "{line}: {error}");
        }
    }

    #[test]
    fn the_columns_of_the_last_row_are_not_those_of_the_next() {
        let lines = [
            r#"{"a": 1, "b": "x"}"#,
            r#"{"a": 2, "b": "y"}"#,
            r#"{"a": 2}"#,
            r#"{"b": "y", "a": 2}"#,
            r#"{"a": 2, "b": "y", "c": null}"#,
            r#"{"a": 2, "\u0062": "y"}"#,
            r#"{"a": 2, "a": "y"}"#,
            r#"{"a": 2, "b": "y"}"#,
        ];
        let raws = lines.map(raw);
        let mut forms = RowForms::default();
        let rows: Vec<Result<ContentId, String>> =
            raws.iter().map(|raw| forms.row(raw).map(|row| row.content)).collect();
        for (line, row) in lines.iter().zip(&rows) {
            assert_eq!(row, &self::row(line), "{line}");
        }
        assert!(rows[1] == rows[3] && rows[1] == rows[5] && rows[6].is_err());
        let row = forms.row(&raws[7]).expect("a row");
        assert_eq!(row.value("b"), Some(&Cell::Text("y".into())));
        assert_eq!((row.value("c"), row.columns().len()), (None, 2));
    }
}
