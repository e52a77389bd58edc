//! A quick reader of our CBOR: serde over a byte slice, borrowing texts and byte strings from it.
//!
//! It knows what our encoder writes (definite lengths; no tags, no floats) and fails on all else.
//!
//! Invariants: never reads past the slice, never goes deeper than [`DEPTH_MAX`], allocates nothing.
//! What it is not: the judge of what is canonical, nor of what is wrong. [`crate::codec::decode`]
//! compares what was read with its encoding, and asks the slow reader where this one fails.

use serde::de::value::BorrowedStrDeserializer;
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, MapAccess, SeqAccess, VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;

/// Arrays and maps within each other; the deepest of ours has six.
const DEPTH_MAX: u32 = 32;

// Major types (RFC 8949, section 3.1), then simple values (section 3.3).
pub(crate) const UNSIGNED: u8 = 0;
pub(crate) const NEGATIVE: u8 = 1;
pub(crate) const BYTES: u8 = 2;
pub(crate) const TEXT: u8 = 3;
pub(crate) const ARRAY: u8 = 4;
pub(crate) const MAP: u8 = 5;
pub(crate) const SIMPLE: u8 = 7;
pub(crate) const FALSE: u64 = 20;
pub(crate) const TRUE: u64 = 21;
pub(crate) const NULL: u64 = 22;
const NULL_BYTE: u8 = SIMPLE << 5 | NULL as u8;

/// Not something that this reader reads; the slow reader says why.
#[derive(Debug)]
pub(crate) struct Unread;

impl std::fmt::Display for Unread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("not in the form that we write")
    }
}

impl std::error::Error for Unread {}

impl serde::de::Error for Unread {
    fn custom<T: std::fmt::Display>(_: T) -> Self {
        Self
    }
}

/// What is left to read.
#[derive(Debug)]
pub(crate) struct Reader<'de> {
    rest: &'de [u8],
    depth: u32,
}

impl<'de> Reader<'de> {
    pub(crate) const fn new(bytes: &'de [u8]) -> Self {
        Self { rest: bytes, depth: 0 }
    }

    /// The major type and the argument of the next item (RFC 8949, section 3).
    #[inline]
    fn head(&mut self) -> Result<(u8, u64), Unread> {
        let (&first, rest) = self.rest.split_first().ok_or(Unread)?;
        self.rest = rest;
        let argument = match first & 31 {
            short @ 0..24 => u64::from(short),
            24 => u64::from(u8::from_be_bytes(self.array()?)),
            25 => u64::from(u16::from_be_bytes(self.array()?)),
            26 => u64::from(u32::from_be_bytes(self.array()?)),
            27 => u64::from_be_bytes(self.array()?),
            _ => return Err(Unread),
        };
        Ok((first >> 5, argument))
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Unread> {
        let (array, rest) = self.rest.split_first_chunk().ok_or(Unread)?;
        self.rest = rest;
        Ok(*array)
    }

    #[inline]
    fn bytes(&mut self, length: u64) -> Result<&'de [u8], Unread> {
        let length = usize::try_from(length).map_err(|_| Unread)?;
        let (bytes, rest) = self.rest.split_at_checked(length).ok_or(Unread)?;
        self.rest = rest;
        Ok(bytes)
    }

    #[inline]
    fn text(&mut self, length: u64) -> Result<&'de str, Unread> {
        std::str::from_utf8(self.bytes(length)?).map_err(|_| Unread)
    }

    /// The items of an array or a map of `length`.
    #[inline]
    fn items(&mut self, length: u64) -> Result<Items<'_, 'de>, Unread> {
        if self.depth == DEPTH_MAX {
            return Err(Unread);
        }
        self.depth += 1;
        Ok(Items { left: length, reader: self })
    }
}

impl<'de> Deserializer<'de> for &mut Reader<'de> {
    type Error = Unread;

    // Inlined, so that what a visitor does not take costs nothing and what it makes is made in place:
    // a record may have hundreds of subjects.
    #[inline]
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unread> {
        match self.head()? {
            (UNSIGNED, value) => visitor.visit_u64(value),
            (NEGATIVE, value) => visitor.visit_i64(!i64::try_from(value).map_err(|_| Unread)?),
            (BYTES, length) => visitor.visit_borrowed_bytes(self.bytes(length)?),
            (TEXT, length) => visitor.visit_borrowed_str(self.text(length)?),
            (ARRAY, length) => {
                let mut items = self.items(length)?;
                let value = visitor.visit_seq(&mut items)?;
                items.end(value)
            }
            (MAP, length) => {
                let mut items = self.items(length)?;
                let value = visitor.visit_map(&mut items)?;
                items.end(value)
            }
            (SIMPLE, FALSE) => visitor.visit_bool(false),
            (SIMPLE, TRUE) => visitor.visit_bool(true),
            (SIMPLE, NULL) => visitor.visit_unit(),
            _ => Err(Unread),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unread> {
        if self.rest.first() == Some(&NULL_BYTE) {
            self.rest = &self.rest[1..];
            return visitor.visit_none();
        }
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Unread> {
        visitor.visit_newtype_struct(self)
    }

    /// A variant without content is its name, one with content a map of its name to that.
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Unread> {
        match self.head()? {
            (TEXT, length) => {
                let name = self.text(length)?;
                visitor.visit_enum(BorrowedStrDeserializer::new(name))
            }
            (MAP, 1) => {
                let items = self.items(0)?;
                let value = visitor.visit_enum(Variant(items.reader))?;
                items.end(value)
            }
            _ => Err(Unread),
        }
    }

    fn is_human_readable(&self) -> bool {
        false
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

/// The items of an array, or the entries of a map.
struct Items<'a, 'de> {
    left: u64,
    reader: &'a mut Reader<'de>,
}

impl Items<'_, '_> {
    /// Ends them, if all were taken.
    #[inline]
    fn end<T>(self, value: T) -> Result<T, Unread> {
        self.reader.depth -= 1;
        if self.left > 0 { Err(Unread) } else { Ok(value) }
    }

    /// Whether there is another, which is then taken.
    const fn take(&mut self) -> bool {
        let is_there = self.left > 0;
        self.left = self.left.saturating_sub(1);
        is_there
    }

    /// Every item has a byte at least, so no claim makes a reader set aside more than that.
    fn hint(&self) -> Option<usize> {
        usize::try_from(self.left).ok().map(|left| left.min(self.reader.rest.len()))
    }
}

impl<'de> SeqAccess<'de> for &mut Items<'_, 'de> {
    type Error = Unread;

    #[inline]
    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Unread> {
        if self.take() { seed.deserialize(&mut *self.reader).map(Some) } else { Ok(None) }
    }

    fn size_hint(&self) -> Option<usize> {
        self.hint()
    }
}

impl<'de> MapAccess<'de> for &mut Items<'_, 'de> {
    type Error = Unread;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Unread> {
        if self.take() { seed.deserialize(&mut *self.reader).map(Some) } else { Ok(None) }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Unread> {
        seed.deserialize(&mut *self.reader)
    }

    fn size_hint(&self) -> Option<usize> {
        self.hint()
    }
}

/// A variant with content: its name comes next, then the content.
struct Variant<'a, 'de>(&'a mut Reader<'de>);

impl<'de> EnumAccess<'de> for Variant<'_, 'de> {
    type Error = Unread;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Unread> {
        Ok((seed.deserialize(&mut *self.0)?, self))
    }
}

impl<'de> VariantAccess<'de> for Variant<'_, 'de> {
    type Error = Unread;

    fn unit_variant(self) -> Result<(), Unread> {
        Err(Unread)
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Unread> {
        seed.deserialize(self.0)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Unread> {
        self.0.deserialize_any(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Unread> {
        self.0.deserialize_any(visitor)
    }
}
