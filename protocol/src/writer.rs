//! The writer of our CBOR: serde into a vector, or against the bytes that are expected.
//!
//! It writes what our messages hold, every length and number in its shortest form: structs and
//! variants with content as maps, no other maps, no floats, no tags, nothing of unknown length.
//!
//! Invariants: whatever takes the bytes is given the same ones, so the bytes that [`Expected`] takes
//! are those that a vector would get. What it is not: an encoder of any value; what no message of
//! ours holds is [`Unwritten`].

use serde::ser::{
    Error, Impossible, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant,
};
use serde::{Serialize, Serializer};

use crate::reader::{ARRAY, BYTES, FALSE, MAP, NEGATIVE, NULL, SIMPLE, TEXT, TRUE, UNSIGNED};

/// Not something that this writer writes, or not the bytes that were expected.
#[derive(Debug)]
pub(crate) struct Unwritten;

impl std::fmt::Display for Unwritten {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("not in the form that we write")
    }
}

impl std::error::Error for Unwritten {}

impl Error for Unwritten {
    fn custom<T: std::fmt::Display>(_: T) -> Self {
        Self
    }
}

type Written = Result<(), Unwritten>;

/// Takes bytes as they are written.
pub(crate) trait Sink {
    /// Takes the next ones, or refuses them.
    fn put(&mut self, bytes: &[u8]) -> Written;
}

impl Sink for Vec<u8> {
    fn put(&mut self, bytes: &[u8]) -> Written {
        self.extend_from_slice(bytes);
        Ok(())
    }
}

/// Takes exactly these bytes and refuses others.
#[derive(Debug)]
pub(crate) struct Expected<'a>(pub(crate) &'a [u8]);

impl Sink for Expected<'_> {
    #[inline]
    fn put(&mut self, bytes: &[u8]) -> Written {
        self.0 = self.0.strip_prefix(bytes).ok_or(Unwritten)?;
        Ok(())
    }
}

/// Writes into a sink.
#[derive(Debug)]
pub(crate) struct Writer<S>(pub(crate) S);

impl<S: Sink> Writer<S> {
    /// The head of an item (RFC 8949, section 3): its major type and its argument.
    #[inline]
    fn head(&mut self, major: u8, argument: u64) -> Written {
        let major = major << 5;
        match argument {
            0..24 => self.byte(major | argument as u8),
            24..0x100 => {
                self.byte(major | 24)?;
                self.byte(argument as u8)
            }
            0x100..0x1_0000 => {
                self.byte(major | 25)?;
                self.0.put(&(argument as u16).to_be_bytes())
            }
            0x1_0000..0x1_0000_0000 => {
                self.byte(major | 26)?;
                self.0.put(&(argument as u32).to_be_bytes())
            }
            _ => {
                self.byte(major | 27)?;
                self.0.put(&argument.to_be_bytes())
            }
        }
    }

    #[inline]
    fn byte(&mut self, byte: u8) -> Written {
        self.0.put(&[byte])
    }

    /// The head of something with `length` items or bytes.
    #[inline]
    fn length(&mut self, major: u8, length: usize) -> Written {
        self.head(major, length as u64)
    }

    /// The head of a variant with content: a map of its name to that.
    fn variant(&mut self, name: &str) -> Written {
        self.length(MAP, 1)?;
        self.serialize_str(name)
    }
}

/// Numbers, by the widest of their sign.
macro_rules! numbers {
    ($($serialize:ident($number:ty) as $widest:ident)*) => {$(
        #[inline]
        fn $serialize(self, value: $number) -> Written {
            self.$widest(value.into())
        }
    )*};
}

/// What holds no message of ours.
macro_rules! none_of_ours {
    ($($serialize:ident($value:ty))*) => {$(
        fn $serialize(self, _: $value) -> Written {
            Err(Unwritten)
        }
    )*};
}

impl<S: Sink> Serializer for &mut Writer<S> {
    type Ok = ();
    type Error = Unwritten;
    type SerializeSeq = Self;
    type SerializeTuple = Self;
    type SerializeTupleStruct = Self;
    type SerializeTupleVariant = Self;
    type SerializeMap = Impossible<(), Unwritten>;
    type SerializeStruct = Self;
    type SerializeStructVariant = Self;

    numbers! {
        serialize_u8(u8) as serialize_u64
        serialize_u16(u16) as serialize_u64
        serialize_u32(u32) as serialize_u64
        serialize_i8(i8) as serialize_i64
        serialize_i16(i16) as serialize_i64
        serialize_i32(i32) as serialize_i64
    }

    none_of_ours! {
        serialize_f32(f32)
        serialize_f64(f64)
        serialize_char(char)
    }

    #[inline]
    fn serialize_u64(self, value: u64) -> Written {
        self.head(UNSIGNED, value)
    }

    fn serialize_i64(self, value: i64) -> Written {
        match u64::try_from(value) {
            Ok(value) => self.head(UNSIGNED, value),
            Err(_) => self.head(NEGATIVE, !value as u64),
        }
    }

    fn serialize_bool(self, value: bool) -> Written {
        self.head(SIMPLE, if value { TRUE } else { FALSE })
    }

    #[inline]
    fn serialize_str(self, value: &str) -> Written {
        self.length(TEXT, value.len())?;
        self.0.put(value.as_bytes())
    }

    #[inline]
    fn serialize_bytes(self, value: &[u8]) -> Written {
        self.length(BYTES, value.len())?;
        self.0.put(value)
    }

    fn serialize_none(self) -> Written {
        self.head(SIMPLE, NULL)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Written {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Written {
        self.serialize_none()
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Written {
        self.serialize_none()
    }

    /// A variant without content is its name.
    fn serialize_unit_variant(self, _: &'static str, _: u32, name: &'static str) -> Written {
        self.serialize_str(name)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        value: &T,
    ) -> Written {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        name: &'static str,
        value: &T,
    ) -> Written {
        self.variant(name)?;
        value.serialize(self)
    }

    #[inline]
    fn serialize_seq(self, length: Option<usize>) -> Result<Self, Unwritten> {
        self.length(ARRAY, length.ok_or(Unwritten)?)?;
        Ok(self)
    }

    #[inline]
    fn serialize_tuple(self, length: usize) -> Result<Self, Unwritten> {
        self.serialize_seq(Some(length))
    }

    fn serialize_tuple_struct(self, _: &'static str, length: usize) -> Result<Self, Unwritten> {
        self.serialize_seq(Some(length))
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        name: &'static str,
        length: usize,
    ) -> Result<Self, Unwritten> {
        self.variant(name)?;
        self.serialize_seq(Some(length))
    }

    fn serialize_map(self, _length: Option<usize>) -> Result<Self::SerializeMap, Unwritten> {
        Err(Unwritten)
    }

    fn serialize_struct(self, _: &'static str, length: usize) -> Result<Self, Unwritten> {
        self.length(MAP, length)?;
        Ok(self)
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        name: &'static str,
        length: usize,
    ) -> Result<Self, Unwritten> {
        self.variant(name)?;
        self.length(MAP, length)?;
        Ok(self)
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}

/// What is written one after another.
macro_rules! items {
    ($($items:ident by $serialize:ident)*) => {$(
        impl<S: Sink> $items for &mut Writer<S> {
            type Ok = ();
            type Error = Unwritten;

            #[inline]
            fn $serialize<T: Serialize + ?Sized>(&mut self, value: &T) -> Written {
                value.serialize(&mut **self)
            }

            fn end(self) -> Written {
                Ok(())
            }
        }
    )*};
}

items! {
    SerializeSeq by serialize_element
    SerializeTuple by serialize_element
    SerializeTupleStruct by serialize_field
    SerializeTupleVariant by serialize_field
}

/// What is written one after another, each with its name before it.
macro_rules! fields {
    ($($fields:ident)*) => {$(
        impl<S: Sink> $fields for &mut Writer<S> {
            type Ok = ();
            type Error = Unwritten;

            #[inline]
            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                name: &'static str,
                value: &T,
            ) -> Written {
                self.serialize_str(name)?;
                value.serialize(&mut **self)
            }

            fn end(self) -> Written {
                Ok(())
            }
        }
    )*};
}

fields! {
    SerializeStruct
    SerializeStructVariant
}
