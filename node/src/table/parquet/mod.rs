//! The rows of a Parquet file, and a copy of some of them.
//!
//! A struct's members are columns of their own, as `image.bytes`; lists and maps are one text.
//!
//! Invariants: pages are decoded one after another, so memory is a page a column, however many rows;
//! the footer of another file or of half a file is an error, and so is a panic of the decoder. A copy
//! has the schema, the key-value metadata and the compression of its source, row group by row group.
//! What it is not: a reader of encrypted files.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use parquet::basic::{Compression, ConvertedType, Repetition};
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::{
    BoolType, ByteArrayType, DataType, DoubleType, FixedLenByteArrayType, FloatType, Int32Type,
    Int64Type, Int96Type,
};
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;
use parquet::file::properties::WriterProperties;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::record::Field;
use parquet::record::reader::RowIter;
use parquet::schema::types::{Type, TypePtr};
use protocol::limits::TABLE_COLUMNS_MAX;

use super::row::{Cell, Names};
use super::{Body, Raw};

/// Rows copied at once.
const COPIED_ROWS: usize = 1_024;

/// An open Parquet file.
pub(crate) struct Rows {
    rows: RowIter<'static>,
    schema: TypePtr,
    names: Arc<Names>,
    number: u64,
}

impl std::fmt::Debug for Rows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Rows(at {} of {} columns)", self.number, self.names.columns().len())
    }
}

impl Rows {
    pub(super) fn open(path: &Path) -> Result<Self, String> {
        let file = File::open(path).map_err(|error| format!("cannot be opened: {error}"))?;
        let reader = caught(|| SerializedFileReader::new(file))?;
        let schema = reader.metadata().file_metadata().schema_descr().root_schema_ptr();
        let mut columns = Vec::new();
        for field in schema.get_fields() {
            named(field, "", &mut columns);
        }
        if columns.len() > TABLE_COLUMNS_MAX {
            let count = columns.len();
            return Err(format!("has {count} columns, at most {TABLE_COLUMNS_MAX} are allowed"));
        }
        let names = Arc::new(Names::new(columns).map_err(|error| error.to_string())?);
        let rows = caught(|| Ok(RowIter::from_file_into(Box::new(reader))))?;
        Ok(Self { rows, schema, names, number: 0 })
    }

    pub(super) fn columns(&self) -> &[String] {
        self.names.columns()
    }

    pub(super) fn next_row(&mut self) -> Result<Option<Raw>, String> {
        let rows = &mut self.rows;
        let Some(row) = caught(|| rows.next().transpose())? else { return Ok(None) };
        self.number += 1;
        let mut cells = Vec::with_capacity(self.names.columns().len());
        for ((_, value), field) in row.into_columns().into_iter().zip(self.schema.get_fields()) {
            flattened(field, value, &mut cells)?;
        }
        let body = Body::Values(Arc::clone(&self.names), cells);
        Ok(Some(Raw { number: self.number, span: 0..0, body }))
    }
}

/// What of a decoder's work went wrong, in a line.
fn caught<T>(work: impl FnOnce() -> Result<T, ParquetError>) -> Result<T, String> {
    // What the decoder held is not used again.
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => {
            let said = error.to_string();
            Err(format!("not a whole Parquet file: {}", said.lines().next().unwrap_or_default()))
        }
        Err(_) => Err("not a whole Parquet file: its decoder gave up".to_owned()),
    }
}

/// Whether a field is a struct of columns.
fn is_struct(field: &Type) -> bool {
    let info = field.get_basic_info();
    field.is_group()
        && info.converted_type() == ConvertedType::NONE
        && info.logical_type_ref().is_none()
        && (!info.has_repetition() || info.repetition() != Repetition::REPEATED)
}

fn named(field: &Type, within: &str, columns: &mut Vec<String>) {
    let name = format!("{within}{}", field.name());
    if is_struct(field) {
        for member in field.get_fields() {
            named(member, &format!("{name}."), columns);
        }
    } else {
        columns.push(name);
    }
}

fn flattened(field: &Type, value: Field, cells: &mut Vec<Cell>) -> Result<(), String> {
    if !is_struct(field) {
        cells.push(cell(value));
        return Ok(());
    }
    match value {
        Field::Group(row) => {
            for ((_, value), member) in row.into_columns().into_iter().zip(field.get_fields()) {
                flattened(member, value, cells)?;
            }
        }
        Field::Null => {
            for member in field.get_fields() {
                flattened(member, Field::Null, cells)?;
            }
        }
        _ => return Err(format!("the column {:?} is not what the schema says", field.name())),
    }
    Ok(())
}

fn cell(value: Field) -> Cell {
    let number = |value: f64| serde_json::Number::from_f64(value).map(|number| number.to_string());
    Cell::Text(match value {
        Field::Null => String::new(),
        Field::Str(text) => text,
        Field::Bytes(bytes) => return Cell::Bytes(bytes.data().to_vec()),
        Field::Double(double) => number(double).unwrap_or_else(|| double.to_string()),
        // By its own digits, not those of the same number with more of them.
        Field::Float(float) => {
            float.to_string().parse().ok().and_then(number).unwrap_or_else(|| float.to_string())
        }
        other => other.to_string(),
    })
}

/// Copies the rows that `keep` wants, by their number from 0, in order.
pub(crate) fn copy_rows(
    source: &Path,
    target: File,
    keep: impl Fn(u64) -> bool,
) -> Result<u64, String> {
    let file = File::open(source).map_err(|error| format!("cannot be opened: {error}"))?;
    caught(|| {
        let reader = SerializedFileReader::new(file)?;
        let metadata = reader.metadata();
        let schema = metadata.file_metadata().schema_descr().root_schema_ptr();
        let properties = Arc::new(properties(metadata));
        let mut writer = SerializedFileWriter::new(target, schema, properties)?;
        let (mut first, mut copied) = (0, 0);
        for at in 0..reader.num_row_groups() {
            let group = reader.get_row_group(at)?;
            let rows = u64::try_from(group.metadata().num_rows()).unwrap_or_default();
            let wanted = (first..first + rows).filter(|row| keep(*row)).count() as u64;
            if wanted > 0 {
                let mut target = writer.next_row_group()?;
                let mut column = 0;
                while let Some(mut out) = target.next_column()? {
                    let keep = |row| keep(first + row);
                    copy_column(group.get_column_reader(column)?, &mut out, rows, keep)?;
                    out.close()?;
                    column += 1;
                }
                target.close()?;
            }
            (first, copied) = (first + rows, copied + wanted);
        }
        writer.close()?;
        Ok(copied)
    })
}

fn properties(metadata: &ParquetMetaData) -> WriterProperties {
    let kept = metadata.file_metadata().key_value_metadata().cloned();
    let first = metadata.row_groups().first().and_then(|group| group.columns().first());
    // The codecs of this build; what another wrote is compressed by one that all readers have.
    let compression = match first.map(|column| column.compression()) {
        Some(codec @ (Compression::UNCOMPRESSED | Compression::SNAPPY)) => codec,
        Some(codec @ (Compression::GZIP(_) | Compression::ZSTD(_))) => codec,
        _ => Compression::SNAPPY,
    };
    WriterProperties::builder().set_key_value_metadata(kept).set_compression(compression).build()
}

fn copy_column(
    reader: ColumnReader,
    out: &mut SerializedColumnWriter<'_>,
    rows: u64,
    keep: impl Fn(u64) -> bool,
) -> Result<(), ParquetError> {
    use ColumnReader as Of;
    match reader {
        Of::BoolColumnReader(reader) => copy_values::<BoolType>(reader, out, rows, keep),
        Of::Int32ColumnReader(reader) => copy_values::<Int32Type>(reader, out, rows, keep),
        Of::Int64ColumnReader(reader) => copy_values::<Int64Type>(reader, out, rows, keep),
        Of::Int96ColumnReader(reader) => copy_values::<Int96Type>(reader, out, rows, keep),
        Of::FloatColumnReader(reader) => copy_values::<FloatType>(reader, out, rows, keep),
        Of::DoubleColumnReader(reader) => copy_values::<DoubleType>(reader, out, rows, keep),
        Of::ByteArrayColumnReader(reader) => copy_values::<ByteArrayType>(reader, out, rows, keep),
        Of::FixedLenByteArrayColumnReader(reader) => {
            copy_values::<FixedLenByteArrayType>(reader, out, rows, keep)
        }
    }
}

/// Copies one column: a row begins where the repetition level is 0, and a value is there where the
/// definition level is the greatest (Dremel; Parquet's `README`, "Nested Encoding").
fn copy_values<T: DataType>(
    mut reader: ColumnReaderImpl<T>,
    out: &mut SerializedColumnWriter<'_>,
    rows: u64,
    keep: impl Fn(u64) -> bool,
) -> Result<(), ParquetError> {
    let writer = out.typed::<T>();
    let descriptor = Arc::clone(writer.get_descriptor());
    let (defined, repeated) = (descriptor.max_def_level(), descriptor.max_rep_level());
    let mut row = 0;
    while row < rows {
        let (mut definitions, mut repetitions, mut values) = (vec![], vec![], vec![]);
        let wanted = COPIED_ROWS.min((rows - row) as usize);
        let (records, _, levels) = reader.read_records(
            wanted,
            (defined > 0).then_some(&mut definitions),
            (repeated > 0).then_some(&mut repetitions),
            &mut values,
        )?;
        if records == 0 {
            return Err(ParquetError::EOF("a column has fewer rows than its group".into()));
        }
        let (mut kept_definitions, mut kept_repetitions, mut kept) = (vec![], vec![], vec![]);
        let mut values = values.into_iter();
        let mut at = row;
        for level in 0..levels {
            if level > 0 && (repeated == 0 || repetitions[level] == 0) {
                at += 1;
            }
            let value =
                if defined == 0 || definitions[level] == defined { values.next() } else { None };
            if keep(at) {
                kept.extend(value);
                kept_definitions.extend(definitions.get(level));
                kept_repetitions.extend(repetitions.get(level));
            }
        }
        if !(kept.is_empty() && kept_definitions.is_empty()) {
            writer.write_batch(
                &kept,
                (defined > 0).then_some(&kept_definitions),
                (repeated > 0).then_some(&kept_repetitions),
            )?;
        }
        row += records as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::{Format, RowForms, Table};
    use consent::row_content_id;
    use parquet::data_type::ByteArray;
    use parquet::schema::parser::parse_message_type;

    const SCHEMA: &str = "message m { required int64 id; optional binary text (UTF8);
        optional group image { optional binary bytes; } optional group l (LIST) {
        repeated group list { optional int32 element; } } required double d; }";

    /// Rows 0 to `count`, in groups of four; the text of every third is null.
    fn written(path: &Path, count: i64) {
        let schema = Arc::new(parse_message_type(SCHEMA).expect("a schema"));
        let file = File::create(path).expect("made");
        let mut writer = SerializedFileWriter::new(file, schema, Arc::default()).expect("a writer");
        for ids in (0..count).collect::<Vec<_>>().chunks(4) {
            let mut group = writer.next_row_group().expect("a group");
            let text = |id: i64| ByteArray::from(format!("text {id}").as_str());
            let mut out = group.next_column().expect("a column").expect("id");
            out.typed::<Int64Type>().write_batch(ids, None, None).expect("written");
            out.close().expect("closed");
            let there: Vec<i64> = ids.iter().copied().filter(|id| id % 3 != 0).collect();
            let texts: Vec<_> = there.iter().map(|id| text(*id)).collect();
            let levels: Vec<i16> = ids.iter().map(|id| i16::from(id % 3 != 0)).collect();
            let mut out = group.next_column().expect("a column").expect("text");
            out.typed::<ByteArrayType>().write_batch(&texts, Some(&levels), None).expect("written");
            out.close().expect("closed");
            let all: Vec<_> = ids.iter().map(|id| text(*id)).collect();
            let levels = vec![2; ids.len()];
            let mut out = group.next_column().expect("a column").expect("image.bytes");
            out.typed::<ByteArrayType>().write_batch(&all, Some(&levels), None).expect("written");
            out.close().expect("closed");
            // Each row a list of its id, twice.
            let twice: Vec<i32> = ids.iter().flat_map(|id| [*id as i32; 2]).collect();
            let (levels, again) = (vec![3; twice.len()], [0, 1].repeat(ids.len()));
            let mut out = group.next_column().expect("a column").expect("l");
            let list = out.typed::<Int32Type>();
            list.write_batch(&twice, Some(&levels), Some(&again)).expect("written");
            out.close().expect("closed");
            let halves: Vec<f64> = ids.iter().map(|id| *id as f64 / 2.0).collect();
            let mut out = group.next_column().expect("a column").expect("d");
            out.typed::<DoubleType>().write_batch(&halves, None, None).expect("written");
            out.close().expect("closed");
            group.close().expect("closed");
        }
        writer.close().expect("closed");
    }

    fn ids(path: &Path) -> Vec<protocol::ContentId> {
        let mut table = Table::open(path, Format::Parquet).expect("open");
        let mut forms = RowForms::default();
        let mut ids = Vec::new();
        while let Some(raw) = table.next_row().expect("read") {
            ids.push(forms.row(raw).expect("a row").content);
        }
        ids
    }

    #[test]
    fn rows_have_the_ids_of_their_texts_and_survive_a_copy() {
        let dir = tempfile::tempdir().expect("a directory");
        let (source, target) = (dir.path().join("a.parquet"), dir.path().join("b.parquet"));
        written(&source, 10);
        let all = ids(&source);
        let image = format!("blake3:{}", blake3::hash(b"text 4").to_hex());
        let columns = [
            ("id", "4"),
            ("text", "text 4"),
            ("image.bytes", &image),
            ("l", "[4, 4]"),
            ("d", "2.0"),
        ];
        assert_eq!((all.len(), row_content_id(&columns)), (10, Ok(all[4])));
        let keep = |row| row % 2 == 0 && row != 8;
        let copied = copy_rows(&source, File::create(&target).expect("made"), keep);
        assert_eq!(copied, Ok(4));
        assert_eq!(ids(&target), [all[0], all[2], all[4], all[6]]);
    }

    #[test]
    fn half_a_file_is_an_error_in_a_line() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("a.parquet");
        written(&path, 10);
        let whole = std::fs::read(&path).expect("read");
        for cut in [0, 3, 100, whole.len() / 2, whole.len() - 1] {
            std::fs::write(&path, &whole[..cut]).expect("written");
            let error = Table::open(&path, Format::Parquet).expect_err("cut");
            assert!(error.starts_with("not a whole Parquet file") && !error.contains('\n'));
        }
        // Whatever one byte is changed to, it ends, and never with a panic.
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 0xff;
            std::fs::write(&path, &bytes).expect("written");
            if let Ok(mut table) = Table::open(&path, Format::Parquet) {
                while let Ok(Some(_)) = table.next_row() {}
            }
        }
    }
}
