//! One JSON object as columns and texts.
//!
//! Role: a table's rows mostly have the last row's columns and texts without escapes, so both are
//! borrowed where they can be.
//!
//! Invariants: fields keep their order, and none of two fields of one name is lost: the caller sees
//! both. What it is not: strict about what a row is (see `row`).

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Number, Value};

use super::row::Cell;

/// An object's fields, in order.
#[derive(Debug)]
pub(super) struct Object<'a> {
    /// Their names, if they are not those that were known.
    pub columns: Option<Vec<String>>,
    /// Their values.
    pub values: Vec<Cell<'a>>,
}

impl<'a> Object<'a> {
    /// Reads an object that may have the fields that are `known`.
    pub(super) fn read(line: &'a [u8], known: &[String]) -> Result<Self, serde_json::Error> {
        let mut reader = serde_json::Deserializer::from_slice(line);
        let object = Fields(known).deserialize(&mut reader)?;
        reader.end()?;
        Ok(object)
    }
}

struct Fields<'k>(&'k [String]);

impl<'de> DeserializeSeed<'de> for Fields<'_> {
    type Value = Object<'de>;

    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<Object<'de>, D::Error> {
        d.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Fields<'_> {
    type Value = Object<'de>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object<'de>, A::Error> {
        let mut columns: Option<Vec<String>> = None;
        let mut values = Vec::with_capacity(self.0.len());
        while let Some(Text(name)) = map.next_key()? {
            match &mut columns {
                Some(columns) => columns.push(name.into_owned()),
                None if self.0.get(values.len()).is_some_and(|known| *known == name) => {}
                None => {
                    let mut begun = self.0[..values.len()].to_vec();
                    begun.push(name.into_owned());
                    columns = Some(begun);
                }
            }
            let AsCell(cell) = map.next_value()?;
            values.push(cell);
        }
        if columns.is_none() && values.len() < self.0.len() {
            columns = Some(self.0[..values.len()].to_vec());
        }
        Ok(Object { columns, values })
    }
}

/// A text, borrowed if it has no escapes.
struct Text<'de>(Cow<'de, str>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Borrowed;
        impl<'de> Visitor<'de> for Borrowed {
            type Value = Text<'de>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a text")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
            fn visit_string<E>(self, text: String) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text)))
            }
        }
        d.deserialize_str(Borrowed)
    }
}

/// Any value as the text of a row.
struct AsCell<'de>(Cell<'de>);

impl<'de> Deserialize<'de> for AsCell<'de> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_any(AnyValue)
    }
}

fn owned<'de>(text: String) -> AsCell<'de> {
    AsCell(Cell::Text(Cow::Owned(text)))
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = AsCell<'de>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<AsCell<'de>, E> {
        Ok(AsCell(Cell::Text(Cow::Borrowed(""))))
    }

    fn visit_bool<E>(self, is: bool) -> Result<AsCell<'de>, E> {
        Ok(AsCell(Cell::Text(Cow::Borrowed(if is { "true" } else { "false" }))))
    }

    fn visit_u64<E>(self, number: u64) -> Result<AsCell<'de>, E> {
        Ok(owned(number.to_string()))
    }

    fn visit_i64<E>(self, number: i64) -> Result<AsCell<'de>, E> {
        Ok(owned(number.to_string()))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<AsCell<'de>, E> {
        let number = Number::from_f64(number).ok_or_else(|| E::custom("a number is too large"))?;
        Ok(owned(number.to_string()))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<AsCell<'de>, E> {
        Ok(AsCell(Cell::Text(Cow::Borrowed(text))))
    }

    fn visit_str<E>(self, text: &str) -> Result<AsCell<'de>, E> {
        Ok(owned(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<AsCell<'de>, E> {
        Ok(owned(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<AsCell<'de>, A::Error> {
        Ok(owned(Value::deserialize(SeqAccessDeserializer::new(list))?.to_string()))
    }

    /// Sorted by key, as the library's maps are.
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<AsCell<'de>, A::Error> {
        Ok(owned(Value::deserialize(MapAccessDeserializer::new(map))?.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_spelled_as_the_library_spells_them() {
        let line = r#"{"a": -0.0, "b": 1e30, "c": 18446744073709551616, "d": -7, "e": "\u00e9\n",
            "f": [1, {"z": 1.50, "y": [null]}], "g": {"b": 1, "a": 2, "b": 3}, "h": false, "i": null,
            "j": 12345678901234567890, "k": 0.1, "l": "plain"}"#;
        let object = Object::read(line.as_bytes(), &[]).expect("an object");
        let all: serde_json::Map<String, Value> = serde_json::from_str(line).expect("the same");
        for (column, cell) in object.columns.expect("none was known").iter().zip(&object.values) {
            let expected = match &all[column] {
                Value::String(text) => text.clone(),
                Value::Null => String::new(),
                other => other.to_string(),
            };
            assert_eq!(cell, &Cell::Text(expected.into()), "{column}");
        }
        assert!(matches!(&object.values[11], Cell::Text(Cow::Borrowed("plain"))));
    }

    #[test]
    fn any_line_is_an_object_or_an_error_as_the_library_says() {
        let parts =
            ["{", "}", "[", "]", "\"a\"", "\"", ":", ",", "1", ".5", "e9", "-", "null", " ", "\\"];
        let mut state = 1u64;
        let mut below = |bound: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) as usize % bound
        };
        let mut objects = 0;
        for _ in 0..200_000 {
            let inside: String = (0..below(8)).map(|_| parts[below(parts.len())]).collect();
            let line = if below(4) == 0 { inside } else { format!("{{\"a\":{inside}}}") };
            let ours = Object::read(line.as_bytes(), &["a".to_owned()]);
            let theirs = serde_json::from_str::<serde_json::Map<String, Value>>(&line);
            assert_eq!(ours.is_ok(), theirs.is_ok(), "{line}");
            objects += usize::from(ours.is_ok());
        }
        assert!(objects > 1_000);
    }
}
