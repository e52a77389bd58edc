//! The records of a CSV or TSV file, one after the other, as text.
//!
//! Format: RFC 4180 with any line ends; the first record names the columns; a byte order mark is
//! skipped; tabs separate in a `.tsv` file, commas in a `.csv` file.
//!
//! Invariants: a record is at most `TABLE_RECORD_BYTES_MAX` long, UTF-8, and has as many values as
//! the header has columns. What it is not: a reader of numbers (see `table`).

use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use consent::RowForm;
use csv::StringRecord;
use protocol::ContentId;
use protocol::limits::{TABLE_COLUMNS_MAX, TABLE_RECORD_BYTES_MAX};

use super::error::{TableError, TableFault};

/// An open table file.
pub struct Records {
    path: PathBuf,
    delimiter: u8,
    reader: csv::Reader<Metered>,
    left: Rc<Cell<usize>>,
    header: Vec<String>,
    form: RowForm,
    record: StringRecord,
    /// Where the record read last begins, or the line ends before it.
    start: u64,
}

impl Records {
    /// Opens the file and reads its header.
    pub fn open(path: &Path) -> Result<Self, TableError> {
        let delimiter = delimiter(path).ok_or_else(|| TableFault::Extension.at(path))?;
        let file = File::open(path).map_err(|e| TableFault::Open(e).at(path))?;
        let left = Rc::new(Cell::new(TABLE_RECORD_BYTES_MAX));
        let reader = csv::ReaderBuilder::new()
            .delimiter(delimiter)
            .has_headers(false)
            .flexible(true)
            .from_reader(Metered { file, left: Rc::clone(&left), ended: false });
        let mut record = StringRecord::new();
        let mut records = Self {
            path: path.into(),
            delimiter,
            reader,
            left,
            header: Vec::new(),
            form: RowForm::new(&["header"]).map_err(|e| TableFault::from(e).at(path))?,
            record: StringRecord::new(),
            start: 0,
        };
        if !records.read(&mut record)? {
            return Err(records.fault(TableFault::NoHeader));
        }
        records.check_closed()?;
        if record.len() > TABLE_COLUMNS_MAX {
            return Err(records.fault(TableFault::TooManyColumns(record.len())));
        }
        records.header = record.iter().map(String::from).collect();
        records.form = RowForm::new(&records.header).map_err(|e| records.fault(e.into()))?;
        Ok(records)
    }

    /// The columns' names, in the file's order.
    pub fn header(&self) -> &[String] {
        &self.header
    }

    /// Reads the next record; false at the end of the file.
    pub fn advance(&mut self) -> Result<bool, TableError> {
        let mut record = std::mem::take(&mut self.record);
        let there = self.read(&mut record)?;
        self.record = record;
        let (found, expected) = (self.record.len(), self.header.len());
        if there && (found != expected || self.reader.get_ref().ended) {
            self.check_closed()?;
        }
        if there && found != expected {
            return Err(self.fault(TableFault::Ragged { line: self.line(), found, expected }));
        }
        Ok(there)
    }

    /// The values of the record read last, in the file's order.
    pub(crate) fn values(&self) -> &StringRecord {
        &self.record
    }

    /// The same one by one.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.record.iter()
    }

    /// Where in the file the record read last is, with its line end, and any line ends before it; of
    /// the header before any record was read.
    pub fn span(&self) -> std::ops::Range<u64> {
        self.start..self.reader.position().byte()
    }

    /// The line at which the record read last begins, as an editor counts. Reads the file again up
    /// to there, so it is for faults.
    pub(crate) fn line(&self) -> u64 {
        line_at(&self.path, self.start).unwrap_or(0)
    }

    /// The content id of the record read last, over all its columns.
    pub(crate) fn content(&self) -> Result<ContentId, TableError> {
        let values: Vec<&str> = self.record.iter().collect();
        self.form.content_id(&values).map_err(|e| self.fault(e.into()))
    }

    /// A fault of this file.
    pub(crate) fn fault(&self, fault: TableFault) -> TableError {
        fault.at(&self.path)
    }

    /// Refuses the record read last if it ends the file within quotes. The `csv` crate takes the end
    /// of the file for the end of the quotes.
    fn check_closed(&self) -> Result<(), TableError> {
        let length = self.reader.position().byte() - self.start;
        match ends_in_quotes(&self.path, self.start, length, self.delimiter) {
            Ok(false) => Ok(()),
            Ok(true) => Err(self.fault(TableFault::OpenQuote { line: self.line() })),
            Err(error) => Err(self.fault(TableFault::Read(error))),
        }
    }

    fn read(&mut self, record: &mut StringRecord) -> Result<bool, TableError> {
        self.left.set(TABLE_RECORD_BYTES_MAX);
        self.start = self.reader.position().byte();
        self.reader.read_record(record).map_err(|error| {
            let fault = match error.into_kind() {
                csv::ErrorKind::Utf8 { .. } => TableFault::NotUtf8 { line: self.line() },
                csv::ErrorKind::Io(_) if self.left.get() == 0 => {
                    TableFault::RecordTooLong { line: self.line() }
                }
                csv::ErrorKind::Io(error) => TableFault::Read(error),
                other => TableFault::Read(io::Error::other(format!("{other:?}"))),
            };
            self.fault(fault)
        })
    }
}

impl std::fmt::Debug for Records {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Records({}, {} columns)", self.path.display(), self.header.len())
    }
}

/// The line, counted from 1, of the first byte at or after `start` that ends no line. The `csv`
/// crate counts neither blank lines nor CR LF as an editor does.
fn line_at(path: &Path, start: u64) -> io::Result<u64> {
    let (mut line, mut previous) = (1, 0);
    for (at, byte) in (0..).zip(BufReader::new(File::open(path)?).bytes()) {
        let byte = byte?;
        match byte {
            b'\r' => line += 1,
            b'\n' => line += u64::from(previous != b'\r'),
            _ if at >= start => break,
            _ => {}
        }
        previous = byte;
    }
    Ok(line)
}

/// Whether the record of this length at `start` ends within quotes: RFC 4180, and as the `csv` crate
/// reads what is none, a quote within a value that does not begin with one is a quote and no more.
fn ends_in_quotes(path: &Path, start: u64, length: u64, delimiter: u8) -> io::Result<bool> {
    #[derive(Clone, Copy, PartialEq)]
    enum At {
        ValueStart,
        Bare,
        Quoted,
        QuoteInQuoted,
    }
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(start))?;
    let mut at = At::ValueStart;
    for (place, byte) in (start..).zip(BufReader::new(file).take(length).bytes()) {
        let byte = byte?;
        at = match (at, byte) {
            // The bytes of a byte order mark.
            (At::ValueStart, 0xef | 0xbb | 0xbf) if place < 3 => At::ValueStart,
            (At::ValueStart | At::QuoteInQuoted, b'"') => At::Quoted,
            (At::Quoted, b'"') => At::QuoteInQuoted,
            (At::Quoted, _) => At::Quoted,
            (_, b'\r' | b'\n') => At::ValueStart,
            (_, byte) if byte == delimiter => At::ValueStart,
            _ => At::Bare,
        };
    }
    Ok(at == At::Quoted)
}

/// What separates the values of the file at `path`, if its name says that it is a table.
pub(crate) fn delimiter(path: &Path) -> Option<u8> {
    let extension = path.extension()?.to_str()?.to_ascii_lowercase();
    match extension.as_str() {
        "csv" => Some(b','),
        "tsv" => Some(b'\t'),
        _ => None,
    }
}

/// A file of which at most `left` more bytes are read.
struct Metered {
    file: File,
    left: Rc<Cell<usize>>,
    /// Its end was seen, so only what is buffered comes.
    ended: bool,
}

impl Read for Metered {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.left.get();
        if left == 0 {
            return Err(io::Error::other("the record is too long"));
        }
        let wanted = buffer.len().min(left);
        let read = self.file.read(&mut buffer[..wanted])?;
        self.left.set(left - read);
        self.ended = read == 0;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, text: &[u8]) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join(name);
        std::fs::write(&path, text).expect("writable");
        (dir, path)
    }

    fn fault(name: &str, text: &[u8]) -> TableFault {
        let (_dir, path) = file(name, text);
        let records = Records::open(&path).and_then(|mut records| {
            while records.advance()? {}
            Ok(())
        });
        records.expect_err("not a table").fault
    }

    #[test]
    fn lines_are_counted_as_an_editor_does() {
        let (_dir, path) = file("a.csv", b"\xef\xbb\xbfa,b\r\n1,\"x\ny\"\r\n\r\n\r\n2,z\r\n3,w");
        let mut records = Records::open(&path).expect("a table");
        assert_eq!(records.header(), ["a", "b"]);
        let mut lines = Vec::new();
        while records.advance().expect("readable") {
            lines.push((records.line(), records.values()[0].to_string()));
        }
        assert_eq!(lines, [(2, "1".into()), (6, "2".into()), (7, "3".into())]);
    }

    #[test]
    fn tabs_separate_in_a_tsv_file() {
        let (_dir, path) = file("a.TSV", b"a,b\tc\n1,2\t3\n");
        let mut records = Records::open(&path).expect("a table");
        assert_eq!(records.header(), ["a,b", "c"]);
        assert!(records.advance().expect("readable"));
        assert_eq!(&records.values()[0], "1,2");
    }

    #[test]
    fn each_fault_is_named() {
        assert!(matches!(fault("a.csv", b""), TableFault::NoHeader));
        assert!(matches!(fault("a.txt", b"a\n1\n"), TableFault::Extension));
        assert!(matches!(
            fault("a.csv", b"a,b\n1,2\n\n1,2,3\n"),
            TableFault::Ragged { line: 4, found: 3, expected: 2 }
        ));
        assert!(matches!(fault("a.csv", b"a\n1\n\xff\n"), TableFault::NotUtf8 { line: 3 }));
        assert!(matches!(fault("a.csv", b"a,a\n1,2\n"), TableFault::Form(_)));
        let missing = Records::open(Path::new("no-such.csv")).map(|_| ());
        assert!(matches!(missing.expect_err("missing").fault, TableFault::Open(_)));
    }

    #[test]
    fn a_quote_that_is_never_closed_is_a_fault() {
        for (text, line) in [
            ("a,b\n1,2\n3,\"x", 3),
            ("a,b\n1,\"2\n3,4\n5,6\n", 2),
            ("a,b\n\"1,2\n", 2),
            ("\u{feff}\"a,b\n1,2\n", 1),
            ("a,b\n1,\"x\"\"\n", 2),
        ] {
            let found = fault("a.csv", text.as_bytes());
            assert!(matches!(found, TableFault::OpenQuote { line: at } if at == line), "{found:?}");
        }
        for text in ["a,b\n1,\"x\"", "a,b\n1,5\" disk", "a,b\n1,\"x\"\"\"", "a,b\r\n1,\"\"\r\n"] {
            let (_dir, path) = file("a.csv", text.as_bytes());
            let mut records = Records::open(&path).expect("a table");
            assert!(records.advance().expect("one row") && !records.advance().expect("the end"));
        }
    }

    #[test]
    fn an_open_quote_does_not_swallow_memory() {
        let mut text = b"a,b\n1,2\n3,\"".to_vec();
        text.extend(b"x\n".repeat(TABLE_RECORD_BYTES_MAX));
        assert!(matches!(fault("a.csv", &text), TableFault::RecordTooLong { line: 3 }));
    }
}
