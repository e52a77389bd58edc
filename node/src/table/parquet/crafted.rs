//! Files that no writer writes: claims that would take a reader's memory, its stack or its time.
//!
//! Role: tests. A writer of Thrift's compact protocol, as small as can be, makes pages and footers that
//! say whatever is wanted.
//!
//! Invariants: each is refused in a line, as a file or as a row, before anything is made of what it
//! claims. What it is not: a measure of memory. A reader that believes them does not come back.

use std::io::Write;
use std::path::PathBuf;

use flate2::Compression;
use flate2::write::GzEncoder;
use protocol::limits::{TABLE_FOOTER_BYTES_MAX, TABLE_ROW_BYTES_MAX};

use crate::table::{Body, Format, Table};

const MIB: usize = 1 << 20;
const PLAIN: i64 = 0;
const DELTA_LENGTH: i64 = 6;
const DELTA: i64 = 7;
const DICTIONARY: i64 = 8;
const BYTE_ARRAY: i64 = 6;
const INT32: i64 = 1;
const SNAPPY: i64 = 1;
const GZIP: i64 = 2;

/// A struct under way.
#[derive(Default)]
struct Struct {
    bytes: Vec<u8>,
    last: u8,
}

impl Struct {
    fn field(mut self, id: u8, kind: u8) -> Self {
        self.bytes.push((id - self.last) << 4 | kind);
        self.last = id;
        self
    }

    fn number(mut self, id: u8, number: i64) -> Self {
        self = self.field(id, 5);
        self.bytes.extend(varint(zigzag(number)));
        self
    }

    fn long(mut self, id: u8, number: i64) -> Self {
        self = self.field(id, 6);
        self.bytes.extend(varint(zigzag(number)));
        self
    }

    fn text(mut self, id: u8, text: &str) -> Self {
        self = self.field(id, 8);
        self.bytes.extend(varint(text.len() as u64));
        self.bytes.extend(text.as_bytes());
        self
    }

    fn inner(mut self, id: u8, inner: Self) -> Self {
        self = self.field(id, 12);
        self.bytes.extend(inner.end());
        self
    }

    fn list(mut self, id: u8, kind: u8, elements: &[Vec<u8>]) -> Self {
        self = self.field(id, 9);
        self.bytes.push(0xf0 | kind);
        self.bytes.extend(varint(elements.len() as u64));
        self.bytes.extend(elements.concat());
        self
    }

    fn end(mut self) -> Vec<u8> {
        self.bytes.push(0);
        self.bytes
    }
}

fn zigzag(number: i64) -> u64 {
    (number << 1 ^ number >> 63) as u64
}

fn varint(mut number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}

/// What a page says of itself.
fn header(kind: i64, uncompressed: usize, compressed: usize) -> Struct {
    let sizes = Struct::default().number(1, kind).number(2, uncompressed as i64);
    sizes.number(3, compressed as i64)
}

/// A data page of the first version.
fn data(encoding: i64, values: i64, claimed: usize, body: &[u8]) -> Vec<u8> {
    let levels = Struct::default().number(1, values).number(2, encoding).number(3, 3).number(4, 3);
    [header(0, claimed, body.len()).inner(5, levels).end(), body.to_vec()].concat()
}

fn dictionary(values: i64, body: &[u8]) -> Vec<u8> {
    let inner = Struct::default().number(1, values).number(2, PLAIN);
    [header(2, body.len(), body.len()).inner(7, inner).end(), body.to_vec()].concat()
}

/// An element of a schema: a column of values, or a group of elements.
fn element(name: &str, repetition: i64, kind: Option<i64>, children: i64) -> Vec<u8> {
    let mut element = Struct::default();
    if let Some(kind) = kind {
        element = element.number(1, kind);
    }
    element = element.number(3, repetition).text(4, name);
    if children > 0 { element.number(5, children).end() } else { element.end() }
}

/// A column's pages, with the dictionary's, if it has one, first.
struct Column {
    schema: Vec<Vec<u8>>,
    kind: i64,
    codec: i64,
    values: i64,
    dictionary: Vec<u8>,
    pages: Vec<u8>,
}

impl Column {
    fn new(name: &str, kind: i64, values: i64, pages: Vec<u8>) -> Self {
        let schema = vec![element(name, 0, Some(kind), 0)];
        Self { schema, kind, codec: 0, values, dictionary: Vec::new(), pages }
    }
}

fn footer(schema: &[Vec<u8>], rows: i64, groups: &[Vec<u8>]) -> Struct {
    let footer = Struct::default().number(1, 1).list(2, 12, schema).long(3, rows);
    footer.list(4, 12, groups)
}

/// A file of one row group of columns.
fn file(rows: i64, columns: &[Column]) -> Vec<u8> {
    let mut bytes = b"PAR1".to_vec();
    let mut schema = vec![element("m", 0, None, columns.len() as i64)];
    let mut chunks = Vec::new();
    for column in columns {
        let start = bytes.len() as i64;
        bytes.extend(&column.dictionary);
        let data_at = bytes.len() as i64;
        bytes.extend(&column.pages);
        let length = bytes.len() as i64 - start;
        let mut chunk = Struct::default()
            .number(1, column.kind)
            .list(2, 5, &[varint(zigzag(PLAIN))])
            .list(3, 8, &[])
            .number(4, column.codec)
            .long(5, column.values)
            .long(6, length)
            .long(7, length)
            .long(9, data_at);
        if start < data_at {
            chunk = chunk.long(11, start);
        }
        chunks.push(Struct::default().long(2, 4).inner(3, chunk).end());
        schema.extend(column.schema.iter().cloned());
    }
    let group = Struct::default().list(1, 12, &chunks).long(2, 1).long(3, rows).end();
    with_footer(bytes, footer(&schema, rows, &[group]))
}

fn with_footer(mut bytes: Vec<u8>, footer: Struct) -> Vec<u8> {
    let footer = footer.end();
    bytes.extend(&footer);
    bytes.extend((footer.len() as u32).to_le_bytes());
    bytes.extend(b"PAR1");
    bytes
}

/// A reader's rows: how long each is or why it is none; and why there are no more, if not for the end.
fn rows(bytes: &[u8]) -> (Vec<Result<usize, String>>, Option<String>) {
    let dir = tempfile::tempdir().expect("a directory");
    let path: PathBuf = dir.path().join("a.parquet");
    std::fs::write(&path, bytes).expect("written");
    let mut rows = Vec::new();
    let mut table = match Table::open(&path, Format::Parquet) {
        Ok(table) => table,
        Err(why) => return (rows, Some(why)),
    };
    loop {
        match table.next_row() {
            Ok(None) => return (rows, None),
            Ok(Some(raw)) => rows.push(match raw.body {
                Body::Values(_, values) => Ok(values.bytes()),
                Body::Bad(why) => Err(why),
                Body::Line(_) => panic!("a line of JSON"),
            }),
            Err(why) => return (rows, Some(why)),
        }
    }
}

/// Why a file is refused, in a line.
fn refused(bytes: &[u8]) -> String {
    let (rows, why) = rows(bytes);
    let why = why.unwrap_or_else(|| panic!("{} rows were read", rows.len()));
    assert!(why.starts_with("not a whole Parquet file: ") && !why.contains('\n'), "{why}");
    why
}

fn texts(texts: &[&[u8]]) -> Vec<u8> {
    texts.iter().flat_map(|text| [&(text.len() as u32).to_le_bytes(), *text].concat()).collect()
}

#[test]
fn what_is_made_here_is_read_if_it_is_true() {
    let body = texts(&[b"ab", b"cde"]);
    let column = Column::new("a", BYTE_ARRAY, 2, data(PLAIN, 2, body.len(), &body));
    assert_eq!(rows(&file(2, &[column])), (vec![Ok(2), Ok(3)], None));
    let indices = [1, 0b100, 1];
    let mut column = Column::new("a", BYTE_ARRAY, 2, data(DICTIONARY, 2, 3, &indices));
    column.dictionary = dictionary(2, &body);
    assert_eq!(rows(&file(2, &[column])), (vec![Ok(3), Ok(3)], None));
}

#[test]
fn pages_that_claim_more_than_they_have_are_refused() {
    for (codec, claimed) in [(SNAPPY, i32::MAX as usize), (SNAPPY, (1 << 30) + 1), (GZIP, 2 << 30)]
    {
        let claimed = claimed.min(i32::MAX as usize);
        let mut column = Column::new("a", BYTE_ARRAY, 1, data(PLAIN, 1, claimed, &[0; 40]));
        column.codec = codec;
        let why = refused(&file(1, &[column]));
        assert!(why.contains(&format!("take {claimed} bytes")), "{why}");
    }
    // One that claims a body behind the end of the file.
    let mut page = header(0, 9, 1 << 29).end();
    page.extend([0; 9]);
    assert!(refused(&file(1, &[Column::new("a", INT32, 1, page)])).contains("Parquet file"));
    // Fields in another order, so that the decoder might take the second of two claims.
    let mut twice = header(0, 9, 9);
    twice.bytes.extend([vec![5], varint(zigzag(2)), varint(zigzag(i64::from(i32::MAX)))].concat());
    let why = refused(&file(1, &[Column::new("a", INT32, 1, twice.end())]));
    assert!(why.contains("of a form that no writer gives it"), "{why}");
}

#[test]
fn what_inflates_beyond_the_bound_is_refused() {
    let mut member = GzEncoder::new(Vec::new(), Compression::best());
    member.write_all(&vec![0; MIB]).expect("packed");
    let member = member.finish().expect("packed");
    let bomb = member.repeat((1 << 30) / MIB + 1);
    let mut column = Column::new("a", BYTE_ARRAY, 1, data(PLAIN, 1, 100, &bomb));
    column.codec = GZIP;
    let why = refused(&file(1, &[column]));
    assert!(why.contains("at most 1073741824 are given"), "{why}");
}

#[test]
fn dictionaries_and_lengths_that_claim_more_than_there_is_are_refused() {
    let mut column = Column::new("a", BYTE_ARRAY, 1, data(DICTIONARY, 1, 3, &[0, 2, 0]));
    column.dictionary = dictionary(i64::from(i32::MAX), &texts(&[b"ab"]));
    let why = refused(&file(1, &[column]));
    assert!(why.contains("a dictionary has more values than bytes"), "{why}");
    // Blocks of 128 in 4 parts; as many lengths as that; the first is 0.
    let lengths = |count: u64| [varint(128), varint(4), varint(count), varint(0)].concat();
    for encoding in [DELTA_LENGTH, DELTA] {
        for count in [2, 1 << 31, 1 << 40, u64::MAX] {
            let body = lengths(count);
            let page = data(encoding, 1, body.len(), &body);
            let why = refused(&file(1, &[Column::new("a", BYTE_ARRAY, 1, page)]));
            assert!(
                why.contains("lengths are not those of its values"),
                "{encoding} {count}: {why}"
            );
        }
    }
    // As many beginnings as values, and more endings.
    let body = [lengths(1), lengths(1 << 40)].concat();
    let page = data(DELTA, 1, body.len(), &body);
    let why = refused(&file(1, &[Column::new("a", BYTE_ARRAY, 1, page)]));
    assert!(why.contains("lengths are not those of its values"), "{why}");
}

#[test]
fn texts_that_begin_as_others_do_are_bounded_in_sum() {
    // Each of 2,048 texts but the first begins as the one before it, with 1 MiB of it.
    let count = 2_048u64;
    let run = |each: usize| {
        let first = varint(zigzag(each as i64));
        let head = [varint(128), varint(1), varint(count), first].concat();
        // Blocks of no difference, in no bits.
        [head, [0, 0].repeat((count as usize - 1).div_ceil(128))].concat()
    };
    let mut body = [run(MIB), run(0)].concat();
    body.extend(vec![b'x'; MIB]);
    let page = data(DELTA, count as i64, body.len(), &body);
    let why = refused(&file(count as i64, &[Column::new("a", BYTE_ARRAY, count as i64, page)]));
    assert!(why.contains("its pages take"), "{why}");
}

#[test]
fn a_list_of_more_nothings_than_are_held_is_refused() {
    let values = 1i64 << 30;
    // Levels in runs: 2^30 of them, of the value 1 and of 0.
    let run = |level: u8| [varint((values as u64) << 1), vec![level]].concat();
    let levels = |bytes: Vec<u8>| [(bytes.len() as u32).to_le_bytes().to_vec(), bytes].concat();
    let body = [levels(run(1)), levels(run(0))].concat();
    let mut column = Column::new("a", INT32, values, data(PLAIN, values, body.len(), &body));
    column.schema = vec![element("a", 2, Some(INT32), 0)];
    let why = refused(&file(1, &[column]));
    assert!(why.contains("lists of 1073741824 elements"), "{why}");
}

#[test]
fn a_row_that_a_dictionary_makes_too_long_is_none_and_others_are() {
    let long = vec![b'x'; TABLE_ROW_BYTES_MAX / 2 + 1];
    let column = |name: &str, indices: &[u8]| {
        let mut column = Column::new(name, BYTE_ARRAY, 3, data(DICTIONARY, 3, 3, indices));
        column.dictionary = dictionary(2, &texts(&[&long, b"short"]));
        column
    };
    // Three values of one bit each: 1 where the text is short.
    let bytes = file(3, &[column("a", &[1, 3, 0b001]), column("b", &[1, 3, 0b100])]);
    let (rows, why) = rows(&bytes);
    assert_eq!(why, None);
    let too_long = Err("a row takes more bytes than are compared".to_owned());
    assert_eq!(rows, [Ok(5 + long.len()), too_long, Ok(long.len() + 5)]);
}

#[test]
fn schemas_that_nest_deeper_than_any_are_refused() {
    let nested = |depth: usize| {
        let mut schema = vec![element("m", 0, None, 1); depth];
        schema.push(element("a", 0, Some(INT32), 0));
        with_footer(b"PAR1".to_vec(), footer(&schema, 0, &[]))
    };
    assert_eq!(rows(&nested(60)), (vec![], None));
    for depth in [70, 200_000] {
        let why = refused(&nested(depth));
        assert!(why.contains("no tree, or one deeper than 64"), "{depth}: {why}");
    }
    let unknown = (0..200).fold(Struct::default(), |inner, _| Struct::default().inner(15, inner));
    let schema = [element("m", 0, None, 1), element("a", 0, Some(INT32), 0)];
    let why = refused(&with_footer(b"PAR1".to_vec(), footer(&schema, 0, &[]).inner(15, unknown)));
    assert!(why.contains("nests deeper than 16"), "{why}");
}

#[test]
fn footers_that_only_take_time_are_refused() {
    let schema = [element("m", 0, None, 1), element("a", 0, Some(INT32), 0)];
    let of = |footer| refused(&with_footer(b"PAR1".to_vec(), footer));
    // A list of booleans that takes no bytes for them.
    let mut booleans = footer(&schema, 0, &[]).field(15, 9);
    booleans.bytes.extend([0xf1, 0xff, 0xff, 0xff, 0xff, 0x07]);
    assert!(of(booleans).contains("of a form that no writer gives it"));
    let mut groups = Struct::default().number(1, 1).list(2, 12, &schema).long(3, 0).field(4, 9);
    groups.bytes.extend([0xfc, 0xff, 0xff, 0xff, 0xff, 0x07]);
    assert!(of(groups).contains("ends too early"));
    let mut long = b"PAR1".to_vec();
    long.resize(TABLE_FOOTER_BYTES_MAX as usize + 100, 0);
    long.extend((TABLE_FOOTER_BYTES_MAX as u32 + 1).to_le_bytes());
    long.extend(b"PAR1");
    assert!(refused(&long).contains("its footer takes 16777217 bytes"));
    // More rows than anyone has, in groups that have none.
    let group = |rows| Struct::default().list(1, 12, &[]).long(2, 0).long(3, rows).end();
    assert!(of(footer(&schema, 1 << 60, &vec![group(1 << 60); 1_000])).contains("Parquet file"));
}

#[test]
fn what_the_calendar_does_not_have_is_no_row() {
    let dates: Vec<u8> = [0, i32::MAX, 19_000].into_iter().flat_map(i32::to_le_bytes).collect();
    let mut column = Column::new("a", INT32, 3, data(PLAIN, 3, dates.len(), &dates));
    let element = Struct::default().number(1, INT32).number(3, 0).text(4, "a").number(6, 6).end();
    column.schema = vec![element];
    let (rows, why) = rows(&file(3, &[column]));
    let none = Err("a date is none of the calendar".to_owned());
    assert_eq!((rows, why), (vec![Ok(10), none, Ok(10)], None));
}

#[test]
fn a_group_with_fewer_rows_than_it_says_ends_the_file() {
    let body = texts(&[b"ab", b"cde"]);
    let column = Column::new("a", BYTE_ARRAY, 1 << 40, data(PLAIN, 2, body.len(), &body));
    let (rows, why) = rows(&file(1 << 40, &[column]));
    assert!(rows.is_empty() && why.expect("an end").contains("fewer rows than its group"));
}
