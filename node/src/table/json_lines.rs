//! The lines of a JSON Lines file.
//!
//! Invariants: blank lines are no rows; a line longer than `JSON_LINE_BYTES_MAX` is passed over
//! without being held, and told. What it is not: a reader of JSON (see `row`).

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use protocol::limits::JSON_LINE_BYTES_MAX;

use super::{Body, Raw};

const BUFFER_BYTES: usize = 256 << 10;

/// An open JSON Lines file.
#[derive(Debug)]
pub(crate) struct JsonLines {
    reader: BufReader<File>,
    at: u64,
    line: u64,
}

impl JsonLines {
    pub(super) fn open(path: &Path) -> Result<Self, String> {
        let file = File::open(path).map_err(|error| format!("cannot be opened: {error}"))?;
        Ok(Self { reader: BufReader::with_capacity(BUFFER_BYTES, file), at: 0, line: 0 })
    }

    pub(super) fn next_row(&mut self) -> Result<Option<Raw>, String> {
        loop {
            let start = self.at;
            let (line, is_long) =
                self.line().map_err(|error| format!("cannot be read: {error}"))?;
            if self.at == start {
                return Ok(None);
            }
            self.line += 1;
            let body = if is_long {
                Body::Bad(format!("longer than {JSON_LINE_BYTES_MAX} bytes"))
            } else if line.iter().all(u8::is_ascii_whitespace) {
                continue;
            } else {
                Body::Line(line)
            };
            return Ok(Some(Raw { number: self.line, span: start..self.at, body }));
        }
    }

    /// The next line without its end, or its beginning if it is too long; nothing at the end.
    fn line(&mut self) -> io::Result<(Vec<u8>, bool)> {
        let mut line = Vec::new();
        let room = JSON_LINE_BYTES_MAX as u64 + 1;
        self.at += (&mut self.reader).take(room).read_until(b'\n', &mut line)? as u64;
        let is_long = line.len() as u64 == room && line.last() != Some(&b'\n');
        if is_long {
            line.clear();
            self.at += self.reader.skip_until(b'\n')? as u64;
        }
        while line.last().is_some_and(|byte| matches!(byte, b'\n' | b'\r')) {
            line.pop();
        }
        Ok((line, is_long))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_have_their_place_whatever_ends_them() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("a.jsonl");
        std::fs::write(&path, "{\"a\":1}\r\n\n{\"a\":2}").expect("written");
        let mut lines = JsonLines::open(&path).expect("open");
        let first = lines.next_row().expect("read").expect("a line");
        assert!(matches!(&first.body, Body::Line(line) if line == b"{\"a\":1}"));
        let second = lines.next_row().expect("read").expect("a line");
        assert_eq!((first.number, first.span, second.number, second.span), (1, 0..9, 3, 10..17));
        assert!(lines.next_row().expect("read").is_none());
    }

    #[test]
    fn a_line_that_is_too_long_is_passed_over() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("a.jsonl");
        let long = "x".repeat(JSON_LINE_BYTES_MAX + 5);
        std::fs::write(&path, format!("{long}\n{{\"a\":2}}\n")).expect("written");
        let mut lines = JsonLines::open(&path).expect("open");
        let bad = lines.next_row().expect("read").expect("a line");
        assert!(matches!(bad.body, Body::Bad(why) if why.contains("longer than")));
        assert_eq!(lines.next_row().expect("read").expect("a line").number, 2);
    }
}
