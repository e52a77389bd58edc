//! A look at Parquet's own structures before its decoder reads them.
//!
//! Role: footers and page headers are Thrift's compact protocol (`thrift-compact-protocol.md`), and
//! the decoder believes their claims: it nests as deep as they say and counts as far. Here each byte
//! is gone over once, by the shapes that `parquet.thrift` (2.12) gives.
//!
//! Invariants: what passes is read by the decoder as it was read here: known fields have their
//! known types, fields come in rising order, and no list has elements without bytes. Work and stack
//! are bounded by the bytes and by [`DEPTH_MAX`]. What it is not: a decoder. It keeps a few numbers.

/// How deep structures nest: the footer's own are five deep.
const DEPTH_MAX: usize = 16;
/// How deep a schema nests.
const SCHEMA_DEPTH_MAX: usize = 64;

/// What bytes are.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Bool,
    Byte,
    I16,
    I32,
    I64,
    Double,
    Binary,
    List(&'static Self),
    Struct(Shape),
    /// One element of a schema, whose children are counted.
    Element,
}

/// The fields of a struct that the decoder knows, in rising order. It passes over others.
type Shape = &'static [(i16, Kind)];

const EMPTY: Kind = Kind::Struct(&[]);
const TIME_UNIT: Kind = Kind::Struct(&[(1, EMPTY), (2, EMPTY), (3, EMPTY)]);
const TIME: Kind = Kind::Struct(&[(1, Kind::Bool), (2, TIME_UNIT)]);
const LOGICAL_TYPE: Kind = Kind::Struct(&[
    (1, EMPTY),
    (2, EMPTY),
    (3, EMPTY),
    (4, EMPTY),
    (5, Kind::Struct(&[(1, Kind::I32), (2, Kind::I32)])),
    (6, EMPTY),
    (7, TIME),
    (8, TIME),
    (10, Kind::Struct(&[(1, Kind::Byte), (2, Kind::Bool)])),
    (11, EMPTY),
    (12, EMPTY),
    (13, EMPTY),
    (14, EMPTY),
    (15, EMPTY),
    (16, Kind::Struct(&[(1, Kind::Byte)])),
    (17, Kind::Struct(&[(1, Kind::Binary)])),
    (18, Kind::Struct(&[(1, Kind::Binary), (2, Kind::I32)])),
    (19, EMPTY),
]);
/// Field 5 is the number of children.
const ELEMENT: Shape = &[
    (1, Kind::I32),
    (2, Kind::I32),
    (3, Kind::I32),
    (4, Kind::Binary),
    (CHILDREN, Kind::I32),
    (6, Kind::I32),
    (7, Kind::I32),
    (8, Kind::I32),
    (9, Kind::I32),
    (10, LOGICAL_TYPE),
];
const CHILDREN: i16 = 5;
const STATISTICS: Kind = Kind::Struct(&[
    (1, Kind::Binary),
    (2, Kind::Binary),
    (3, Kind::I64),
    (4, Kind::I64),
    (5, Kind::Binary),
    (6, Kind::Binary),
    (7, Kind::Bool),
    (8, Kind::Bool),
    (9, Kind::I64),
]);
const PAGE_COUNTS: Kind = Kind::Struct(&[(1, Kind::I32), (2, Kind::I32), (3, Kind::I32)]);
const SIZES: Kind =
    Kind::Struct(&[(1, Kind::I64), (2, Kind::List(&Kind::I64)), (3, Kind::List(&Kind::I64))]);
const BOX: Kind = Kind::Struct(&[
    (1, Kind::Double),
    (2, Kind::Double),
    (3, Kind::Double),
    (4, Kind::Double),
    (5, Kind::Double),
    (6, Kind::Double),
    (7, Kind::Double),
    (8, Kind::Double),
]);
const COLUMN: Kind = Kind::Struct(&[
    (1, Kind::I32),
    (2, Kind::List(&Kind::I32)),
    (3, Kind::List(&Kind::Binary)),
    (4, Kind::I32),
    (5, Kind::I64),
    (6, Kind::I64),
    (7, Kind::I64),
    (8, Kind::List(&KEY_VALUE)),
    (9, Kind::I64),
    (10, Kind::I64),
    (11, Kind::I64),
    (12, STATISTICS),
    (13, Kind::List(&PAGE_COUNTS)),
    (14, Kind::I64),
    (15, Kind::I32),
    (16, SIZES),
    (17, Kind::Struct(&[(1, BOX), (2, Kind::List(&Kind::I32))])),
]);
const CHUNK: Kind = Kind::Struct(&[
    (1, Kind::Binary),
    (2, Kind::I64),
    (3, COLUMN),
    (4, Kind::I64),
    (5, Kind::I32),
    (6, Kind::I64),
    (7, Kind::I32),
]);
const KEY_VALUE: Kind = Kind::Struct(&[(1, Kind::Binary), (2, Kind::Binary)]);
const SORTING: Kind = Kind::Struct(&[(1, Kind::I32), (2, Kind::Bool), (3, Kind::Bool)]);
const ROW_GROUP: Kind = Kind::Struct(&[
    (1, Kind::List(&CHUNK)),
    (2, Kind::I64),
    (3, Kind::I64),
    (4, Kind::List(&SORTING)),
    (5, Kind::I64),
    (6, Kind::I64),
    (7, Kind::I16),
]);
const FOOTER: Shape = &[
    (1, Kind::I32),
    (2, Kind::List(&Kind::Element)),
    (3, Kind::I64),
    (4, Kind::List(&ROW_GROUP)),
    (5, Kind::List(&KEY_VALUE)),
    (6, Kind::Binary),
    (7, Kind::List(&Kind::Struct(&[(1, EMPTY), (2, EMPTY)]))),
];
const UNCOMPRESSED_SIZE: i16 = 2;
const COMPRESSED_SIZE: i16 = 3;
const PAGE_HEADER: Shape = &[
    (1, Kind::I32),
    (UNCOMPRESSED_SIZE, Kind::I32),
    (COMPRESSED_SIZE, Kind::I32),
    (4, Kind::I32),
    (
        5,
        Kind::Struct(&[
            (1, Kind::I32),
            (2, Kind::I32),
            (3, Kind::I32),
            (4, Kind::I32),
            (5, STATISTICS),
        ]),
    ),
    (6, EMPTY),
    (7, Kind::Struct(&[(1, Kind::I32), (2, Kind::I32), (3, Kind::Bool)])),
    (
        8,
        Kind::Struct(&[
            (1, Kind::I32),
            (2, Kind::I32),
            (3, Kind::I32),
            (4, Kind::I32),
            (5, Kind::I32),
            (6, Kind::I32),
            (7, Kind::Bool),
            (8, STATISTICS),
        ]),
    ),
];

/// Why bytes are not what they should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Misshapen {
    /// They end too early.
    #[error("ends too early")]
    Short,
    /// They have another form than any writer gives them.
    #[error("has a field of a form that no writer gives it")]
    Form,
    /// They nest too deeply.
    #[error("nests deeper than {DEPTH_MAX}")]
    Depth,
    /// The schema nests too deeply, or does not have the children that it claims.
    #[error("has a schema that is no tree, or one deeper than {SCHEMA_DEPTH_MAX}")]
    Schema,
}

/// What a page says that it takes, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PageSizes {
    pub compressed: u64,
    pub uncompressed: u64,
}

/// Goes over a footer.
pub(super) fn check_footer(bytes: &[u8]) -> Result<(), Misshapen> {
    let mut walk = Walk { rest: bytes, open: Vec::new(), elements: 0 };
    walk.fields(FOOTER, DEPTH_MAX, |_, _| {})?;
    if walk.open.is_empty() { Ok(()) } else { Err(Misshapen::Schema) }
}

/// Goes over the page header that bytes begin with.
pub(super) fn check_page_header(bytes: &[u8]) -> Result<PageSizes, Misshapen> {
    let mut sizes = [None; 2];
    Walk { rest: bytes, open: Vec::new(), elements: 0 }.fields(
        PAGE_HEADER,
        DEPTH_MAX,
        |id, number| match id {
            UNCOMPRESSED_SIZE => sizes[0] = u64::try_from(number).ok(),
            COMPRESSED_SIZE => sizes[1] = u64::try_from(number).ok(),
            _ => {}
        },
    )?;
    let [Some(uncompressed), Some(compressed)] = sizes else { return Err(Misshapen::Form) };
    Ok(PageSizes { compressed, uncompressed })
}

/// Bytes that are gone over.
struct Walk<'a> {
    rest: &'a [u8],
    /// Of each group of the schema that is open, how many children are to come.
    open: Vec<u64>,
    /// How many elements of a schema there were.
    elements: usize,
}

impl Walk<'_> {
    fn byte(&mut self) -> Result<u8, Misshapen> {
        let (byte, rest) = self.rest.split_first().ok_or(Misshapen::Short)?;
        self.rest = rest;
        Ok(*byte)
    }

    fn skip(&mut self, bytes: u64) -> Result<(), Misshapen> {
        let bytes = usize::try_from(bytes).map_err(|_| Misshapen::Short)?;
        self.rest = self.rest.get(bytes..).ok_or(Misshapen::Short)?;
        Ok(())
    }

    /// A ULEB128 number.
    fn number(&mut self) -> Result<u64, Misshapen> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(Misshapen::Form)
    }

    /// A struct's fields. Its numbers go to `each`, as a decoder of 32 bits takes them.
    fn fields(
        &mut self,
        shape: Shape,
        depth: usize,
        mut each: impl FnMut(i16, i32),
    ) -> Result<(), Misshapen> {
        let depth = depth.checked_sub(1).ok_or(Misshapen::Depth)?;
        let mut last = 0i16;
        loop {
            let (step, code) = nibbles(self.byte()?);
            if code == 0 {
                return Ok(());
            }
            if step == 0 {
                return Err(Misshapen::Form);
            }
            let id = last.checked_add(i16::from(step)).ok_or(Misshapen::Form)?;
            last = id;
            match shape.iter().find(|(known, _)| *known == id) {
                // A boolean's value is in its type.
                Some((_, Kind::Bool)) if matches!(code, 1 | 2) => {}
                Some((_, Kind::I32)) if code == Kind::I32.code() => {
                    let number = self.number()?;
                    each(id, ((number >> 1) as i64 ^ -((number & 1) as i64)) as i32);
                }
                Some((_, kind)) if code == kind.code() => self.value(kind, depth)?,
                Some(_) => return Err(Misshapen::Form),
                None if matches!(code, 1 | 2) => {}
                None => self.unknown(code, depth)?,
            }
        }
    }

    fn value(&mut self, kind: &Kind, depth: usize) -> Result<(), Misshapen> {
        match kind {
            Kind::List(element) => {
                let (count, code) = self.list()?;
                if count > 0 && code != element.code() {
                    return Err(Misshapen::Form);
                }
                (0..count).try_for_each(|_| self.value(element, depth))
            }
            Kind::Struct(shape) => self.fields(shape, depth, |_, _| {}),
            Kind::Element => self.element(depth),
            other => self.unknown(other.code(), depth),
        }
    }

    /// A value of which only the type is known.
    fn unknown(&mut self, code: u8, depth: usize) -> Result<(), Misshapen> {
        match code {
            3 => self.byte().map(|_| ()),
            4..=6 => self.number().map(|_| ()),
            7 => self.skip(8),
            8 => {
                let bytes = self.number()?;
                self.skip(bytes)
            }
            9 => {
                let depth = depth.checked_sub(1).ok_or(Misshapen::Depth)?;
                let (count, code) = self.list()?;
                (0..count).try_for_each(|_| self.unknown(code, depth))
            }
            12 => self.fields(&[], depth, |_, _| {}),
            // Sets, maps and ids are in none of Parquet's structures.
            _ => Err(Misshapen::Form),
        }
    }

    /// How many elements a list has, and of which type.
    fn list(&mut self) -> Result<(u64, u8), Misshapen> {
        let (count, code) = nibbles(self.byte()?);
        let count = if count == 15 { self.number()? } else { u64::from(count) };
        // Some write an empty list without a type. Booleans have none here, and whether they take a
        // byte is told differently by different readers.
        match (count, code) {
            (0, _) | (_, 3..=9 | 12) if count <= self.rest.len() as u64 => Ok((count, code)),
            (_, 3..=9 | 12) => Err(Misshapen::Short),
            _ => Err(Misshapen::Form),
        }
    }

    fn element(&mut self, depth: usize) -> Result<(), Misshapen> {
        let mut children = 0;
        self.fields(ELEMENT, depth, |id, number| {
            if id == CHILDREN {
                children = number;
            }
        })?;
        match self.open.last_mut() {
            Some(left) => *left -= 1,
            None if self.elements == 0 => {}
            None => return Err(Misshapen::Schema),
        }
        self.elements += 1;
        self.open.push(u64::try_from(children).map_err(|_| Misshapen::Schema)?);
        if self.open.len() > SCHEMA_DEPTH_MAX {
            return Err(Misshapen::Schema);
        }
        while self.open.pop_if(|left| *left == 0).is_some() {}
        Ok(())
    }
}

impl Kind {
    /// The type's number in the protocol; a boolean's false.
    const fn code(&self) -> u8 {
        match self {
            Self::Bool => 2,
            Self::Byte => 3,
            Self::I16 => 4,
            Self::I32 => 5,
            Self::I64 => 6,
            Self::Double => 7,
            Self::Binary => 8,
            Self::List(_) => 9,
            Self::Struct(_) | Self::Element => 12,
        }
    }
}

const fn nibbles(byte: u8) -> (u8, u8) {
    (byte >> 4, byte & 0xf)
}
