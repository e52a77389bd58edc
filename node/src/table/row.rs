//! A row as texts, with its content id.
//!
//! Invariants: two columns of one name are an error, in every format. What it is not: the spelling
//! of numbers (see the module above).

use std::borrow::Cow;
use std::sync::Arc;

use consent::{RowError, RowForm};
use protocol::ContentId;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::Value;

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

/// A value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Cell {
    /// Text, or what is written as text.
    Text(String),
    /// Bytes: a picture in a table.
    Bytes(Vec<u8>),
}

impl Cell {
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
            Self::Text(text) => text.into(),
            Self::Bytes(bytes) => format!("blake3:{}", blake3::hash(bytes).to_hex()).into(),
        }
    }
}

/// A row.
#[derive(Debug)]
pub(crate) struct Row {
    /// The id over all its columns.
    pub content: ContentId,
    names: Arc<Names>,
    values: Vec<Cell>,
}

impl Row {
    /// The value in a column.
    pub(crate) fn value(&self, column: &str) -> Option<&Cell> {
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
    pub(crate) fn row(&mut self, raw: Raw) -> Result<Row, String> {
        let (names, values) = match raw.body {
            Body::Bad(why) => return Err(why),
            Body::Values(names, values) => (names, values),
            Body::Line(line) => {
                let Pairs(pairs) = serde_json::from_slice(&line).map_err(|error| {
                    format!("not a JSON object: {}", error.to_string().replace(" line 1", ""))
                })?;
                let (columns, values): (Vec<String>, Vec<Value>) = pairs.into_iter().unzip();
                (self.names(columns)?, values.into_iter().map(cell).collect())
            }
        };
        let texts: Vec<Cow<'_, str>> = values.iter().map(Cell::text).collect();
        let content = names.form.content_id(&texts).map_err(|error| error.to_string())?;
        drop(texts);
        Ok(Row { content, names, values })
    }

    fn names(&mut self, columns: Vec<String>) -> Result<Arc<Names>, String> {
        match &self.0 {
            Some(names) if names.columns == columns => Ok(Arc::clone(names)),
            _ => {
                let names = Arc::new(Names::new(columns).map_err(|error| error.to_string())?);
                Ok(Arc::clone(self.0.insert(names)))
            }
        }
    }
}

fn cell(value: Value) -> Cell {
    Cell::Text(match value {
        Value::String(text) => text,
        Value::Null => String::new(),
        // Its maps are sorted by key.
        other => other.to_string(),
    })
}

/// An object's fields in order: a map would keep one of two fields of one name.
struct Pairs(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Pairs;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }
        d.deserialize_map(Fields)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use consent::row_content_id;

    fn row(line: &str) -> Result<Row, String> {
        let body = Body::Line(line.as_bytes().to_vec());
        RowForms::default().row(Raw { number: 1, span: 0..0, body })
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
        assert_eq!(row(line).map(|row| row.content), same.map_err(|error| error.to_string()));
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
}
