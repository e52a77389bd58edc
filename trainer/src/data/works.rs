//! The works of a file: a table's rows, or the file itself; and a table cut down to some rows.
//!
//! Invariants: the ids are those that [`super::Table`] asks its gate about. What it is not: a
//! judge of whether the file can be trained on; a table of texts has works too.

use std::fs::File;
use std::path::Path;

use protocol::ContentId;
use protocol::limits::TABLE_ROWS_MAX;

use super::error::{TableError, TableFault};
use super::records::{Records, delimiter};

/// The content ids of the works in a file: of each row, in the file's order, if its name ends in
/// `.csv` or `.tsv`; otherwise of its bytes, which are read piece by piece.
pub fn works(path: &Path) -> Result<Vec<ContentId>, TableError> {
    if delimiter(path).is_none() {
        return Ok(vec![file_work(path)?]);
    }
    let mut records = Records::open(path)?;
    let mut works = Vec::new();
    while records.advance()? {
        if works.len() == TABLE_ROWS_MAX {
            return Err(records.fault(TableFault::TooManyRows));
        }
        works.push(records.content()?);
    }
    if works.is_empty() {
        return Err(records.fault(TableFault::NoRows));
    }
    Ok(works)
}

/// Writes the header of the table `source` and those of its rows (counted from 0, in any order) to
/// `target`, in the order of `source`. Their content ids stay the same.
pub fn write_rows(source: &Path, rows: &[usize], target: &Path) -> Result<(), TableError> {
    let mut records = Records::open(source)?;
    let delimiter = delimiter(target).ok_or_else(|| TableFault::Extension.at(target))?;
    let failed = |e: csv::Error| TableFault::Write(e.into()).at(target);
    let mut writer =
        csv::WriterBuilder::new().delimiter(delimiter).from_path(target).map_err(failed)?;
    writer.write_record(records.header()).map_err(failed)?;
    let mut wanted = rows.to_vec();
    wanted.sort_unstable();
    wanted.dedup();
    let (mut row, mut written) = (0, 0);
    while written < wanted.len() {
        if !records.advance()? {
            let missing = TableFault::NoSuchRow { row: wanted[written], rows: row };
            return Err(records.fault(missing));
        }
        if wanted[written] == row {
            writer.write_record(records.values()).map_err(failed)?;
            written += 1;
        }
        row += 1;
    }
    writer.flush().map_err(|e| TableFault::Write(e).at(target))
}

fn file_work(path: &Path) -> Result<ContentId, TableError> {
    let file = File::open(path).map_err(|e| TableFault::Open(e).at(path))?;
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(file).map_err(|e| TableFault::Read(e).at(path))?;
    Ok(ContentId::from_bytes(*hasher.finalize().as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_its_rows_and_another_file_its_bytes() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = |name: &str| dir.path().join(name);
        std::fs::write(path("a.csv"), "x,label\n1,cat\n\"2\",dog\n").expect("writable");
        std::fs::write(path("b.tsv"), "label\tx\r\ndog\t2\r\ncat\t1\r\n").expect("writable");
        let (a, b) = (works(&path("a.csv")).expect("works"), works(&path("b.tsv")).expect("works"));
        assert_eq!(a, [b[1], b[0]]);
        let row = consent::row_content_id(&[("label", "cat"), ("x", "1")]);
        assert_eq!(Ok(a[0]), row);
        std::fs::write(path("c.txt"), "x,label\n").expect("writable");
        assert_eq!(works(&path("c.txt")).expect("works"), [ContentId::of(b"x,label\n")]);
        assert!(works(&path("none.txt")).is_err());
    }

    #[test]
    fn some_rows_keep_their_ids() {
        let dir = tempfile::tempdir().expect("a directory");
        let (source, target) = (dir.path().join("a.csv"), dir.path().join("b.csv"));
        std::fs::write(&source, "x,t\n1,\"a,\"\"b\"\n2,c\n3,\"d\ne\"\n").expect("writable");
        write_rows(&source, &[2, 0], &target).expect("written");
        let all = works(&source).expect("works");
        assert_eq!(works(&target).expect("works"), [all[0], all[2]]);
        let missing = write_rows(&source, &[3], &target).expect_err("three rows");
        assert!(matches!(missing.fault, TableFault::NoSuchRow { row: 3, rows: 3 }));
    }
}
