//! A copy of some rows of a Parquet file.
//!
//! Invariants: the copy has the schema, the key-value metadata and the compression of its source, row
//! group by row group; what is read is held against the same bounds as when it was scanned. What it is
//! not: a copy byte for byte.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use parquet::basic::Compression;
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::{
    BoolType, ByteArrayType, DataType, DoubleType, FixedLenByteArrayType, FloatType, Int32Type,
    Int64Type, Int96Type,
};
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};

use super::pages::{Held, Hold};
use super::source::{Opened, refused};
use super::{caught, leaf, rows_at_once};

/// Copies those of the first `rows` rows that `keep` wants, by their number from 0, in order. `tell`
/// hears how many are about done, and says whether to go on.
pub(crate) fn copy_rows(
    source: &Path,
    target: File,
    rows: u64,
    keep: impl Fn(u64) -> bool,
    tell: impl Fn(u64) -> bool,
) -> Result<u64, String> {
    let file = Opened::at(source)?;
    let held: Arc<Held> = Arc::default();
    caught(|| {
        let schema = file.metadata.file_metadata().schema_descr().root_schema_ptr();
        let properties = Arc::new(properties(&file.metadata));
        let mut writer = SerializedFileWriter::new(target, schema, properties)?;
        let (mut first, mut copied) = (0, 0);
        for group in file.metadata.row_groups() {
            let in_group = u64::try_from(group.num_rows()).unwrap_or_default().min(rows - first);
            let wanted = (first..first + in_group).filter(|row| keep(*row)).count() as u64;
            if wanted > 0 {
                let mut target = writer.next_row_group()?;
                let (mut column, columns) = (0, group.num_columns().max(1));
                while let Some(mut out) = target.next_column()? {
                    let hold = Hold::new(Arc::clone(&held));
                    let reader = leaf::reader(&file, group, column, &hold)?;
                    let at_once = rows_at_once(group) as usize;
                    let keep = |row| keep(first + row);
                    Copy { hold: &hold, rows: in_group, at_once, keep }.column(reader, &mut out)?;
                    out.close()?;
                    if !tell(first + in_group / columns as u64 * column as u64) {
                        return Err(refused("stopped"));
                    }
                    column += 1;
                }
                target.close()?;
            }
            (first, copied) = (first + in_group, copied + wanted);
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

/// Of a row group's first `rows` rows those that `keep` wants.
struct Copy<'a, K> {
    hold: &'a Hold,
    rows: u64,
    at_once: usize,
    keep: K,
}

impl<K: Fn(u64) -> bool> Copy<'_, K> {
    fn column(
        &self,
        reader: ColumnReader,
        out: &mut SerializedColumnWriter<'_>,
    ) -> Result<(), ParquetError> {
        use ColumnReader as Of;
        match reader {
            Of::BoolColumnReader(reader) => self.values::<BoolType>(reader, out),
            Of::Int32ColumnReader(reader) => self.values::<Int32Type>(reader, out),
            Of::Int64ColumnReader(reader) => self.values::<Int64Type>(reader, out),
            Of::Int96ColumnReader(reader) => self.values::<Int96Type>(reader, out),
            Of::FloatColumnReader(reader) => self.values::<FloatType>(reader, out),
            Of::DoubleColumnReader(reader) => self.values::<DoubleType>(reader, out),
            Of::ByteArrayColumnReader(reader) => self.values::<ByteArrayType>(reader, out),
            Of::FixedLenByteArrayColumnReader(reader) => {
                self.values::<FixedLenByteArrayType>(reader, out)
            }
        }
    }

    /// Copies one column: a row begins where the repetition level is 0, and a value is there where
    /// the definition level is the greatest.
    fn values<T: DataType>(
        &self,
        mut reader: ColumnReaderImpl<T>,
        out: &mut SerializedColumnWriter<'_>,
    ) -> Result<(), ParquetError> {
        let writer = out.typed::<T>();
        let descriptor = Arc::clone(writer.get_descriptor());
        let (defined, repeated) = (descriptor.max_def_level(), descriptor.max_rep_level());
        let mut row = 0;
        while row < self.rows {
            self.hold.let_go();
            let (mut definitions, mut repetitions, mut values) = (vec![], vec![], vec![]);
            let (records, _, levels) = reader.read_records(
                (self.rows - row).min(self.at_once as u64) as usize,
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
                let is_there = defined == 0 || definitions[level] == defined;
                let value = if is_there { values.next() } else { None };
                if (self.keep)(at) {
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
}
