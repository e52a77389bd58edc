//! The rows of a Parquet file, and a copy of some of them.
//!
//! Role: a few rows of each column at a time, put together. A struct's members are columns of their
//! own, as `image.bytes`; lists and maps are one text. `source` and `pages` hold what a file claims
//! against bounds before the decoder believes it, `thrift` and `delta` are what they look with;
//! `leaf` is a column, `nested` a list, `copy` the copy.
//!
//! Invariants: memory is a page a column, however many rows, and at most three times
//! `TABLE_PAGES_BYTES_MAX` whatever the file claims; the footer of another file or of half a file is
//! an error, and so is a panic of the decoder. What it is not: a reader of encrypted files.

mod copy;
#[cfg(test)]
mod crafted;
mod delta;
mod leaf;
mod nested;
mod pages;
mod source;
mod thrift;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use parquet::basic::{ConvertedType, Repetition};
use parquet::errors::ParquetError;
use parquet::file::metadata::RowGroupMetaData;
use parquet::record::Field;
use parquet::schema::types::Type;
use protocol::limits::{TABLE_COLUMNS_MAX, TABLE_ROW_BYTES_MAX};

use super::row::{Names, Values};
use super::{Body, Raw};
pub(crate) use copy::copy_rows;
use leaf::{Leaf, Value};
use nested::{Levels, Node, Text};
use pages::Held;
use source::{Opened, refused};

const TOO_LONG: &str = "a row takes more bytes than are compared";
/// Rows that are read at once, at most: few enough that what is read is not far behind.
const ROWS_MAX: u64 = 1_024;
/// Values that are read at once, over all columns.
const VALUES_MAX: u64 = 1 << 20;
/// Bytes that are read at once, if the file says truly how many there are.
const BYTES_MAX: u64 = 16 << 20;

/// An open Parquet file.
pub(crate) struct Rows {
    file: Opened,
    names: Arc<Names>,
    columns: Vec<Column>,
    held: Arc<Held>,
    /// The row group that is read, and how many of its rows are still to be read.
    group: usize,
    left: u64,
    leaves: Vec<Leaf>,
    /// Rows that were read and not yet given.
    waiting: u64,
    number: u64,
}

/// Where a column's values are.
#[derive(Debug)]
enum Column {
    /// In a leaf.
    Flat(usize),
    /// In several, or several in one.
    Nested(Node),
}

impl std::fmt::Debug for Rows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Rows(at {} of {} columns)", self.number, self.names.columns().len())
    }
}

impl Rows {
    pub(super) fn open(path: &Path) -> Result<Self, String> {
        let file = Opened::at(path)?;
        let schema = file.metadata.file_metadata().schema_descr().root_schema_ptr();
        let (mut names, mut columns) = (Vec::new(), Vec::new());
        caught(|| {
            let (mut leaf, above) = (0, Levels::default());
            schema.get_fields().iter().try_for_each(|field| {
                let mut each = |name, column| {
                    names.push(name);
                    columns.push(column);
                };
                named(field, "", above, &mut leaf, &mut each)
            })
        })?;
        if columns.len() > TABLE_COLUMNS_MAX {
            let count = columns.len();
            return Err(format!("has {count} columns, at most {TABLE_COLUMNS_MAX} are allowed"));
        }
        let names = Arc::new(Names::new(names).map_err(|error| error.to_string())?);
        let (held, leaves) = (Arc::default(), Vec::new());
        Ok(Self { file, names, columns, held, group: 0, left: 0, leaves, waiting: 0, number: 0 })
    }

    pub(super) fn columns(&self) -> &[String] {
        self.names.columns()
    }

    pub(super) fn next_row(&mut self) -> Result<Option<Raw>, String> {
        let Some(read) = caught(|| self.read())? else { return Ok(None) };
        self.number += 1;
        let body = match read {
            Ok(values) => Body::Values(Arc::clone(&self.names), values),
            Err(why) => Body::Bad(why),
        };
        Ok(Some(Raw { number: self.number, span: 0..0, body }))
    }

    /// How far the file is read, of 0 to 1.
    pub(super) fn done(&self) -> f64 {
        let all = self.file.metadata.file_metadata().num_rows().max(1);
        (self.number as f64 / all as f64).min(1.0)
    }

    /// The next row; why it is none, if that is only its fault.
    fn read(&mut self) -> Result<Option<Result<Values, String>>, ParquetError> {
        while self.waiting == 0 {
            if self.left == 0 && !self.next_group()? {
                return Ok(None);
            }
            let group = self.file.metadata.row_group(self.group - 1);
            self.waiting = rows_at_once(group).min(self.left);
            for leaf in &mut self.leaves {
                leaf.read(self.waiting as usize)?;
            }
            self.left -= self.waiting;
        }
        self.waiting -= 1;
        let (mut values, mut fault) = (Values::default(), None);
        for column in &self.columns {
            let found = match column {
                Column::Flat(leaf) => flat(&mut self.leaves[*leaf], &mut values),
                Column::Nested(node) => nested(node, &mut self.leaves, &mut values)?,
            };
            fault = fault.or(found);
        }
        Ok(Some(match fault {
            None => Ok(values),
            Some(why) => Err(why.to_owned()),
        }))
    }

    /// Goes to the next row group that has rows; says whether there is one.
    fn next_group(&mut self) -> Result<bool, ParquetError> {
        self.leaves.clear();
        while let Some(group) = self.file.metadata.row_groups().get(self.group) {
            self.group += 1;
            self.left = u64::try_from(group.num_rows())
                .map_err(|_| refused("a row group has fewer rows than none"))?;
            if self.left > 0 {
                for at in 0..group.num_columns() {
                    self.leaves.push(Leaf::open(&self.file, group, at, &self.held)?);
                }
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Adds what a leaf has for this row; says what is wrong with it.
fn flat(leaf: &mut Leaf, values: &mut Values) -> Option<&'static str> {
    let room = TABLE_ROW_BYTES_MAX.saturating_sub(values.bytes());
    let fault = match leaf.value() {
        Value::Text(text) if text.len() > room => Some(TOO_LONG),
        Value::Bytes(bytes) if bytes.len() > room => Some(TOO_LONG),
        Value::Null => {
            values.push_text("");
            None
        }
        Value::Text(text) => {
            values.push_text(text);
            None
        }
        Value::Bytes(bytes) => {
            values.push_bytes(bytes);
            None
        }
        Value::Other(field) => {
            values.push_text(&text(field));
            None
        }
        Value::Unfit(why) => Some(why),
    };
    leaf.advance();
    fault
}

/// As [`flat`], of a list or a map.
fn nested(
    node: &Node,
    leaves: &mut [Leaf],
    values: &mut Values,
) -> Result<Option<&'static str>, ParquetError> {
    let room = TABLE_ROW_BYTES_MAX.saturating_sub(values.bytes());
    let mut fault = None;
    if node.is_null(leaves) {
        node.advance(leaves);
        values.push_text("");
    } else {
        values.push_written(|text| {
            let mut text = Text::new(text, room);
            let written = node.write(leaves, &mut text);
            fault = text.fault;
            written
        })?;
    }
    let mut fits = true;
    node.each_leaf(&mut |leaf| fits &= leaves[leaf].repetition() == 0);
    if fits { Ok(fault) } else { Err(refused("the parts of a list are not of one length")) }
}

/// How many rows of a group are read at once: so few that they take little memory, if what the file
/// says of itself is true.
fn rows_at_once(group: &RowGroupMetaData) -> u64 {
    let rows = u64::try_from(group.num_rows()).unwrap_or_default().max(1);
    let of_each = |number: i64| u64::try_from(number).unwrap_or_default().div_ceil(rows);
    let values: u64 = group.columns().iter().map(|chunk| of_each(chunk.num_values())).sum();
    let bytes: u64 = group.columns().iter().map(|chunk| of_each(chunk.uncompressed_size())).sum();
    ROWS_MAX.min(VALUES_MAX / values.max(1)).min(BYTES_MAX / bytes.max(1)).max(1)
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
        && nested::repetition(field) != Some(Repetition::REPEATED)
}

/// Hands over the columns of a field, by name.
fn named(
    field: &Type,
    within: &str,
    above: Levels,
    leaf: &mut usize,
    each: &mut impl FnMut(String, Column),
) -> Result<(), ParquetError> {
    let name = format!("{within}{}", field.name());
    if is_struct(field) {
        let above = above.within(nested::repetition(field));
        let within = format!("{name}.");
        let members = field.get_fields();
        return members.iter().try_for_each(|field| named(field, &within, above, leaf, each));
    }
    let column = match Node::of(field, above, leaf)? {
        Node::Leaf(leaf) => Column::Flat(leaf),
        Node::Optional(level, node) => match *node {
            Node::Leaf(leaf) => Column::Flat(leaf),
            node => Column::Nested(Node::Optional(level, Box::new(node))),
        },
        // It is null where a struct around it is.
        node if above.definition > 0 => {
            Column::Nested(Node::Optional(above.definition - 1, Box::new(node)))
        }
        node => Column::Nested(node),
    };
    each(name, column);
    Ok(())
}

/// The text of a value that is none itself.
fn text(value: Field) -> String {
    let number = |value: f64| serde_json::Number::from_f64(value).map(|number| number.to_string());
    match value {
        Field::Double(double) => number(double).unwrap_or_else(|| double.to_string()),
        // By its own digits, not those of the same number with more of them.
        Field::Float(float) => {
            float.to_string().parse().ok().and_then(number).unwrap_or_else(|| float.to_string())
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;
    use crate::table::{Format, RowForms, Table};
    use consent::row_content_id;
    use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int32Type, Int64Type};
    use parquet::file::writer::SerializedFileWriter;
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
            ids.push(forms.row(&raw).expect("a row").content);
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
        let made = File::create(&target).expect("made");
        let copied = copy_rows(&source, made, 10, keep, |_| true);
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
