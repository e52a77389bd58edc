//! The shipped digits, cut into tables for tests, and run files for them.
//!
//! Invariants: tables do not share rows unless they are asked for. What it is not: the demo's split.

use std::fs;
use std::ops::Range;
use std::path::Path;

/// The shipped table.
pub(crate) fn all() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/digits.csv");
    fs::read_to_string(path).expect("the digits are shipped")
}

/// Writes a table of these rows, counted from 0, as `dir/name`.
pub(crate) fn write(dir: &Path, name: &str, rows: Range<usize>) {
    let all = all();
    let mut lines = all.lines();
    let header = lines.next().expect("a header");
    let rows = lines.skip(rows.start).take(rows.len());
    let text: String = [header].into_iter().chain(rows).flat_map(|line| [line, "\n"]).collect();
    fs::write(dir.join(name), text).expect("a table is written");
}

/// A run file for a new model of the table `data`, with what else it should say.
pub(crate) fn run_file(data: &str, rest: &str) -> String {
    format!(
        "name = \"digits\"\n{rest}\n[model]\ndata = \"{data}\"\nlabel = \"label\"\n\n\
         [consent]\ndefault = \"opt-out\"\n"
    )
}
