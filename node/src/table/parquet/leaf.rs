//! One column of a Parquet file, some rows at a time.
//!
//! Role: what `parquet.thrift` calls a leaf: values of one type, with the levels that say which of
//! them are null and which are in one list (Dremel; Parquet's `README`, "Nested Encoding").
//!
//! Invariants: a value that becomes a text is bounded before it does. What it is not: a row.

use std::sync::Arc;

use parquet::basic::{Compression, ConvertedType};
use parquet::column::reader::{ColumnReader, ColumnReaderImpl, get_column_reader};
use parquet::data_type::{
    BoolType, ByteArray, ByteArrayType, DataType, DoubleType, FixedLenByteArrayType, FloatType,
    Int32Type, Int64Type, Int96Type,
};
use parquet::errors::ParquetError;
use parquet::file::metadata::RowGroupMetaData;
use parquet::file::reader::SerializedPageReader;
use parquet::record::Field;
use parquet::schema::types::ColumnDescPtr;

use super::pages::{Held, Hold, Pages};
use super::source::{Opened, refused};

/// Digits of a decimal number, in bytes of its binary form, and behind its point: some make longer
/// ones of few bytes than anyone reads.
const DECIMAL_BYTES_MAX: usize = 64;
const DECIMAL_SCALE_MAX: i32 = 255;
/// What the calendar has: some 262,000 years before and after 1970.
const DAYS_MAX: u32 = 95_000_000;
const MILLISECONDS_MAX: u64 = DAYS_MAX as u64 * 86_400_000;

/// See the module.
pub(super) struct Leaf {
    pub column: ColumnDescPtr,
    hold: Arc<Hold>,
    values: Values,
    definitions: Vec<i16>,
    repetitions: Vec<i16>,
    /// Where it is: the number of the level, and of the value.
    level: usize,
    value: usize,
    levels: usize,
}

/// A reader and what it read.
struct Typed<T: DataType> {
    reader: ColumnReaderImpl<T>,
    values: Vec<T::T>,
}

enum Values {
    Bool(Typed<BoolType>),
    Int32(Typed<Int32Type>),
    Int64(Typed<Int64Type>),
    Int96(Typed<Int96Type>),
    Float(Typed<FloatType>),
    Double(Typed<DoubleType>),
    Bytes(Typed<ByteArrayType>),
    Fixed(Typed<FixedLenByteArrayType>),
}

/// A value as a row takes it.
pub(super) enum Value<'a> {
    Null,
    Text(&'a str),
    Bytes(&'a [u8]),
    Other(Field),
    /// One that has no text, and why.
    Unfit(&'static str),
}

/// The decoder of a column of a row group.
pub(super) fn reader(
    file: &Opened,
    group: &RowGroupMetaData,
    at: usize,
    hold: &Arc<Hold>,
) -> Result<ColumnReader, ParquetError> {
    let (chunk, rows) = (group.column(at), usize::try_from(group.num_rows())?);
    let source = file.source(matches!(chunk.compression(), Compression::GZIP(_)));
    let pages = SerializedPageReader::new(source, chunk, rows, None)?;
    let column = chunk.column_descr_ptr();
    let pages = Pages::new(pages, &column, Arc::clone(hold));
    Ok(get_column_reader(column, Box::new(pages)))
}

impl Leaf {
    pub(super) fn open(
        file: &Opened,
        group: &RowGroupMetaData,
        at: usize,
        held: &Arc<Held>,
    ) -> Result<Self, ParquetError> {
        let hold = Hold::new(Arc::clone(held));
        let column = group.column(at).column_descr_ptr();
        if column.converted_type() == ConvertedType::DECIMAL
            && !(0..=DECIMAL_SCALE_MAX).contains(&column.type_scale())
        {
            return Err(refused("a decimal number has more digits behind its point than are read"));
        }
        use ColumnReader as Of;
        let values = match reader(file, group, at, &hold)? {
            Of::BoolColumnReader(reader) => Values::Bool(Typed::new(reader)),
            Of::Int32ColumnReader(reader) => Values::Int32(Typed::new(reader)),
            Of::Int64ColumnReader(reader) => Values::Int64(Typed::new(reader)),
            Of::Int96ColumnReader(reader) => Values::Int96(Typed::new(reader)),
            Of::FloatColumnReader(reader) => Values::Float(Typed::new(reader)),
            Of::DoubleColumnReader(reader) => Values::Double(Typed::new(reader)),
            Of::ByteArrayColumnReader(reader) => Values::Bytes(Typed::new(reader)),
            Of::FixedLenByteArrayColumnReader(reader) => Values::Fixed(Typed::new(reader)),
        };
        let (definitions, repetitions) = (Vec::new(), Vec::new());
        Ok(Self { column, hold, values, definitions, repetitions, level: 0, value: 0, levels: 0 })
    }

    /// Reads so many rows, which must be there. What was read before is gone.
    pub(super) fn read(&mut self, rows: usize) -> Result<(), ParquetError> {
        self.definitions.clear();
        self.repetitions.clear();
        (self.level, self.value) = (0, 0);
        let levels = (&mut self.definitions, &mut self.repetitions);
        let of = (&*self.column, &*self.hold);
        self.levels = match &mut self.values {
            Values::Bool(typed) => typed.read(rows, of, levels),
            Values::Int32(typed) => typed.read(rows, of, levels),
            Values::Int64(typed) => typed.read(rows, of, levels),
            Values::Int96(typed) => typed.read(rows, of, levels),
            Values::Float(typed) => typed.read(rows, of, levels),
            Values::Double(typed) => typed.read(rows, of, levels),
            Values::Bytes(typed) => typed.read(rows, of, levels),
            Values::Fixed(typed) => typed.read(rows, of, levels),
        }?;
        Ok(())
    }

    /// Whether there is a value, or a null, here.
    pub(super) const fn is_there(&self) -> bool {
        self.level < self.levels
    }

    /// The definition level here; 0 behind the last.
    pub(super) fn definition(&self) -> i16 {
        match self.definitions.get(self.level) {
            Some(level) => *level,
            None if self.is_there() => self.column.max_def_level(),
            None => 0,
        }
    }

    /// The repetition level here; 0 behind the last.
    pub(super) fn repetition(&self) -> i16 {
        self.repetitions.get(self.level).copied().unwrap_or(0)
    }

    /// Goes on to the next.
    pub(super) fn advance(&mut self) {
        self.value +=
            usize::from(self.is_there() && self.definition() == self.column.max_def_level());
        self.level += 1;
    }

    /// The value here.
    pub(super) fn value(&self) -> Value<'_> {
        if !self.is_there() || self.definition() < self.column.max_def_level() {
            return Value::Null;
        }
        let (at, column) = (self.value, &self.column);
        match &self.values {
            Values::Bool(typed) => Value::Other(Field::convert_bool(column, typed.values[at])),
            Values::Int32(typed) => number(Field::convert_int32(column, typed.values[at])),
            Values::Int64(typed) => number(Field::convert_int64(column, typed.values[at])),
            Values::Int96(typed) => number(Field::convert_int96(column, typed.values[at])),
            Values::Float(typed) => Value::Other(Field::convert_float(column, typed.values[at])),
            Values::Double(typed) => Value::Other(Field::convert_double(column, typed.values[at])),
            Values::Bytes(typed) => bytes(column, &typed.values[at]),
            Values::Fixed(typed) => bytes(column, &typed.values[at]),
        }
    }
}

impl<T: DataType> Typed<T> {
    const fn new(reader: ColumnReaderImpl<T>) -> Self {
        Self { reader, values: Vec::new() }
    }

    fn read(
        &mut self,
        rows: usize,
        (column, hold): (&parquet::schema::types::ColumnDescriptor, &Hold),
        (definitions, repetitions): (&mut Vec<i16>, &mut Vec<i16>),
    ) -> Result<usize, ParquetError> {
        self.values.clear();
        hold.let_go();
        let (mut read, mut levels) = (0, 0);
        while read < rows {
            let (more, _, more_levels) = self.reader.read_records(
                rows - read,
                (column.max_def_level() > 0).then_some(&mut *definitions),
                (column.max_rep_level() > 0).then_some(&mut *repetitions),
                &mut self.values,
            )?;
            if more == 0 {
                return Err(ParquetError::EOF("a column has fewer rows than its group".into()));
            }
            (read, levels) = (read + more, levels + more_levels);
        }
        Ok(levels)
    }
}

/// A number that may be a date, if the calendar has it.
fn number<'a>(field: Field) -> Value<'a> {
    let is_there = match &field {
        Field::Date(days) => days.unsigned_abs() <= DAYS_MAX,
        Field::TimestampMillis(time) => time.unsigned_abs() <= MILLISECONDS_MAX,
        Field::TimestampMicros(time) => time.unsigned_abs() / 1_000 <= MILLISECONDS_MAX,
        _ => true,
    };
    if is_there { Value::Other(field) } else { Value::Unfit("a date is none of the calendar") }
}

fn bytes<'a>(column: &ColumnDescPtr, value: &'a ByteArray) -> Value<'a> {
    use ConvertedType::{BSON, DECIMAL, ENUM, JSON, NONE, UTF8};
    match column.converted_type() {
        UTF8 | ENUM | JSON => {
            str::from_utf8(value.data()).map_or(Value::Unfit("a text is not UTF-8"), Value::Text)
        }
        DECIMAL if value.len() > DECIMAL_BYTES_MAX => {
            Value::Unfit("a decimal number has more digits than are read")
        }
        NONE | BSON if column.logical_type_ref().is_none() => Value::Bytes(value.data()),
        _ => match Field::convert_byte_array(column, value.clone()) {
            Ok(Field::Bytes(_)) => Value::Bytes(value.data()),
            Ok(field) => Value::Other(field),
            Err(_) => Value::Unfit("a value is not of its column's type"),
        },
    }
}
