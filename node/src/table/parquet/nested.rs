//! Lists and maps of Parquet as one text each.
//!
//! Role: puts together what is in one row's list, of values, of structs or of lists. The rules of
//! which group is a list are the format's (`LogicalTypes.md`, "Lists" and "Maps", with its backward
//! compatibility), as the crate `parquet` applies them, and so are the texts.
//!
//! Invariants: a text has at most as many bytes as were given; of what is longer the rest is passed
//! over. What it is not: a reader of what a list means.

use std::fmt::{self, Write};

use parquet::basic::{ConvertedType, LogicalType, Repetition};
use parquet::errors::ParquetError;
use parquet::schema::types::Type;

use super::leaf::{Leaf, Value};
use super::source::refused;

/// A part of a row. Levels are those up to which it is not there.
#[derive(Debug)]
pub(super) enum Node {
    /// The values of a leaf, by its number.
    Leaf(usize),
    /// What may be null.
    Optional(i16, Box<Self>),
    /// The members of a struct, by name.
    Struct(Vec<(String, Self)>),
    /// The elements of a list; the second level is of repetition.
    List(i16, i16, Box<Self>),
    /// The keys and values of a map.
    Map(i16, i16, Box<[Self; 2]>),
}

/// What is above a part: levels of definition and repetition.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Levels {
    pub definition: i16,
    pub repetition: i16,
}

impl Levels {
    /// With a field of this repetition.
    pub(super) const fn within(self, repetition: Option<Repetition>) -> Self {
        let Self { definition, repetition: lists } = self;
        match repetition {
            Some(Repetition::OPTIONAL) => Self { definition: definition + 1, repetition: lists },
            Some(Repetition::REPEATED) => {
                Self { definition: definition + 1, repetition: lists + 1 }
            }
            _ => self,
        }
    }

    /// With the elements of a list.
    const fn in_list(self) -> Self {
        self.within(Some(Repetition::REPEATED))
    }
}

/// How often a field is there; nothing for the root.
pub(super) fn repetition(field: &Type) -> Option<Repetition> {
    let info = field.get_basic_info();
    info.has_repetition().then(|| info.repetition())
}

impl Node {
    /// Of a field below these levels. `leaf` counts the leaves, in the schema's order.
    pub(super) fn of(field: &Type, above: Levels, leaf: &mut usize) -> Result<Self, ParquetError> {
        let at = above.within(repetition(field));
        let is_repeated = repetition(field) == Some(Repetition::REPEATED);
        let list = |node| Self::List(above.definition, above.repetition, Box::new(node));
        let node = if field.is_primitive() {
            *leaf += 1;
            let node = Self::Leaf(*leaf - 1);
            if is_repeated { list(node) } else { node }
        } else {
            match field.get_basic_info().converted_type() {
                ConvertedType::LIST => Self::list(field, at, leaf)?,
                ConvertedType::MAP | ConvertedType::MAP_KEY_VALUE => Self::map(field, at, leaf)?,
                _ => {
                    let member = |member: &std::sync::Arc<Type>| {
                        Ok((member.name().to_owned(), Self::of(member, at, leaf)?))
                    };
                    let members = field.get_fields().iter().map(member);
                    let members = members.collect::<Result<Vec<_>, ParquetError>>()?;
                    if members.is_empty() {
                        return Err(refused("a group has no members"));
                    }
                    if is_repeated { list(Self::Struct(members)) } else { Self::Struct(members) }
                }
            }
        };
        Ok(match repetition(field) {
            Some(Repetition::OPTIONAL) => Self::Optional(above.definition, Box::new(node)),
            _ => node,
        })
    }

    fn list(field: &Type, at: Levels, leaf: &mut usize) -> Result<Self, ParquetError> {
        let [repeated] = field.get_fields() else { return Err(refused("a list is none")) };
        if repetition(repeated) != Some(Repetition::REPEATED) {
            return Err(refused("a list is none"));
        }
        let element = match (is_element(repeated), repeated.is_group()) {
            (false, true) => {
                let child =
                    repeated.get_fields().first().ok_or_else(|| refused("a list is none"))?;
                Self::of(child, at.in_list(), leaf)?
            }
            _ => Self::of(repeated, at, leaf)?,
        };
        Ok(Self::List(at.definition, at.repetition, Box::new(element)))
    }

    fn map(field: &Type, at: Levels, leaf: &mut usize) -> Result<Self, ParquetError> {
        let [entry] = field.get_fields() else { return Err(refused("a map is none")) };
        if entry.is_primitive() || repetition(entry) != Some(Repetition::REPEATED) {
            return Err(refused("a map is none"));
        }
        let mut of = |field: &Type| Self::of(field, at.in_list(), leaf);
        match entry.get_fields() {
            [key] => Ok(Self::List(at.definition, at.repetition, Box::new(of(key)?))),
            [key, value] => {
                let both = Box::new([of(key)?, of(value)?]);
                Ok(Self::Map(at.definition, at.repetition, both))
            }
            _ => Err(refused("a map is none")),
        }
    }

    /// The leaf whose levels count.
    fn first(&self) -> usize {
        match self {
            Self::Leaf(leaf) => *leaf,
            Self::Optional(_, node) | Self::List(_, _, node) => node.first(),
            Self::Struct(members) => members.first().map_or(0, |(_, node)| node.first()),
            Self::Map(_, _, both) => both[0].first(),
        }
    }

    /// Each of its leaves.
    pub(super) fn each_leaf(&self, each: &mut impl FnMut(usize)) {
        match self {
            Self::Leaf(leaf) => each(*leaf),
            Self::Optional(_, node) | Self::List(_, _, node) => node.each_leaf(each),
            Self::Struct(members) => members.iter().for_each(|(_, node)| node.each_leaf(each)),
            Self::Map(_, _, both) => both.iter().for_each(|node| node.each_leaf(each)),
        }
    }

    /// Whether it is null as a whole.
    pub(super) fn is_null(&self, leaves: &[Leaf]) -> bool {
        matches!(self, Self::Optional(level, _) if leaves[self.first()].definition() <= *level)
    }

    pub(super) fn advance(&self, leaves: &mut [Leaf]) {
        self.each_leaf(&mut |leaf| leaves[leaf].advance());
    }

    /// Writes what is here, and goes on behind it.
    pub(super) fn write(
        &self,
        leaves: &mut [Leaf],
        out: &mut Text<'_>,
    ) -> Result<(), ParquetError> {
        let first = self.first();
        if !leaves[first].is_there() {
            return Err(ParquetError::EOF("a list ends before its row".into()));
        }
        match self {
            Self::Leaf(leaf) => {
                out.value(&leaves[*leaf].value());
                leaves[*leaf].advance();
            }
            Self::Optional(..) if self.is_null(leaves) => {
                out.put("null");
                self.advance(leaves);
            }
            Self::Optional(_, node) => node.write(leaves, out)?,
            Self::Struct(members) => {
                for (at, (name, node)) in members.iter().enumerate() {
                    out.put(if at == 0 { "{" } else { ", " });
                    out.put(name);
                    out.put(": ");
                    node.write(leaves, out)?;
                }
                out.put("}");
            }
            Self::List(there, again, element) => {
                out.put("[");
                let mut separator = "";
                while leaves[first].definition() > *there {
                    out.put(std::mem::replace(&mut separator, ", "));
                    element.write(leaves, out)?;
                    if leaves[first].repetition() <= *again {
                        out.put("]");
                        return Ok(());
                    }
                }
                self.advance(leaves);
                out.put("]");
            }
            Self::Map(there, again, both) => {
                out.put("{");
                let mut separator = "";
                while leaves[first].definition() > *there {
                    out.put(std::mem::replace(&mut separator, ", "));
                    both[0].write(leaves, out)?;
                    out.put(" -> ");
                    both[1].write(leaves, out)?;
                    if leaves[first].repetition() <= *again {
                        out.put("}");
                        return Ok(());
                    }
                }
                self.advance(leaves);
                out.put("}");
            }
        }
        Ok(())
    }
}

/// Whether the repeated field of a list is its element, and not a group around that.
fn is_element(repeated: &Type) -> bool {
    if repeated.is_primitive() {
        return true;
    }
    let info = repeated.get_basic_info();
    let is_list = match info.logical_type_ref() {
        Some(logical) => *logical == LogicalType::List,
        None => info.converted_type() == ConvertedType::LIST,
    };
    let members = repeated.get_fields();
    let holds_list = matches!(members, [only] if repetition(only) == Some(Repetition::REPEATED));
    !is_list
        && !holds_list
        && (members.len() > 1 || repeated.name() == "array" || repeated.name().ends_with("_tuple"))
}

/// A text that grows up to a bound.
pub(super) struct Text<'a> {
    text: &'a mut String,
    bytes_max: usize,
    /// What was wrong, if anything was.
    pub fault: Option<&'static str>,
}

impl<'a> Text<'a> {
    /// Grows a text to at most so many bytes.
    pub(super) const fn new(text: &'a mut String, bytes_max: usize) -> Self {
        Self { text, bytes_max, fault: None }
    }

    fn put(&mut self, part: &str) {
        // Only of what does not fit, which is told.
        let _ = self.write_str(part);
    }

    fn value(&mut self, value: &Value<'_>) {
        let _ = match value {
            Value::Null => self.write_str("null"),
            Value::Text(text) => self.write_fmt(format_args!("\"{text}\"")),
            Value::Bytes(bytes) => self.write_fmt(format_args!("{bytes:?}")),
            Value::Other(field) => self.write_fmt(format_args!("{field}")),
            Value::Unfit(why) => {
                self.fault.get_or_insert(why);
                Ok(())
            }
        };
    }
}

impl Write for Text<'_> {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        if self.text.len() + part.len() > self.bytes_max {
            self.fault.get_or_insert(super::TOO_LONG);
        }
        if self.fault.is_some() {
            return Err(fmt::Error);
        }
        self.text.push_str(part);
        Ok(())
    }
}
