//! How fast the program scans tables, and how much memory its node takes for it.
//!
//! ```text
//! cargo bench -p tests --bench scan -- PROGRAM [ROWS] [--alike WORKS] [--file FILE]...
//! ```
//!
//! Role: makes a table of ROWS rows (two million if left out) as CSV and JSON Lines, opts out every
//! 200th of them, and scans the table in each of its formats with what can be asked of each; then
//! 100,000 rows by the likeness of their texts, after WORKS other texts were opted out (100,000 if left
//! out). Each FILE is scanned too: `scan.py` makes Parquet of the rows, which `--keep DIR` keeps.
//! PROGRAM is `accord`, built for release.
//! What it is not: a test. It asserts nothing about time.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;

const ROWS: usize = 2_000_000;
const OPTED_OUT: usize = 200;
const COMPARED: usize = 100_000;
const ALIKE: usize = 100_000;
/// Works of one feed whose likeness counts, and a bit less.
const PER_IDENTITY: usize = 30_000;
const PER_FOLDER: usize = 10_000;

struct Options {
    program: PathBuf,
    rows: usize,
    alike: usize,
    keep: Option<PathBuf>,
    files: Vec<PathBuf>,
}

impl Options {
    fn parse() -> Self {
        let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
        let program = arguments.next().expect("the program `accord`");
        let program = fs::canonicalize(program).expect("the program is there");
        let (rows, alike, keep, files) = (ROWS, ALIKE, None, Vec::new());
        let mut options = Self { program, rows, alike, keep, files };
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().expect("a value");
            match argument.as_str() {
                "--alike" => options.alike = value().parse().expect("a number"),
                "--keep" => options.keep = Some(value().into()),
                "--file" => options.files.push(fs::canonicalize(value()).expect("a file")),
                rows => options.rows = rows.parse().expect("a number of rows"),
            }
        }
        options
    }
}

fn main() {
    let options = Options::parse();
    let room = tempfile::tempdir().expect("a directory");
    let dir = options.keep.clone().unwrap_or_else(|| room.path().to_owned());
    fs::create_dir_all(&dir).expect("made");
    let words = Words::new();
    let rows = |name: &str| dir.join(name);
    write_rows(&dir, &words, options.rows);
    let node = Node::start(&options.program, room.path());

    node.ask(&["consent", "opt-out", &shown(&rows("out.jsonl")), "--exact"]);
    let mut tables = vec![rows("rows.csv"), rows("rows.jsonl")];
    tables.extend(options.files);
    for table in &tables {
        let fixed = room.path().join("fixed").with_extension(table.extension().unwrap_or_default());
        let report = room.path().join("report");
        let (fixed, report) = (shown(&fixed), shown(&report));
        for (what, more) in [
            ("counts", &[][..]),
            ("json", &["--format", "json", "--out", &report][..]),
            ("csv", &["--format", "csv", "--out", &report][..]),
            ("fix", &["--fix", &fixed][..]),
        ] {
            node.scan(what, table, more);
        }
        let _ = fs::remove_file(fixed);
    }

    let begun = std::time::Instant::now();
    for (at, first) in (0..options.alike).step_by(PER_FOLDER).enumerate() {
        let folder = room.path().join("texts");
        fs::create_dir(&folder).expect("made");
        for work in first..(first + PER_FOLDER).min(options.alike) {
            let text = words.text(1 << 40 | work as u64, 45);
            fs::write(folder.join(format!("{work}.txt")), text).expect("written");
        }
        let identity = format!("artist{}", at * PER_FOLDER / PER_IDENTITY);
        node.ask(&["consent", "opt-out", &shown(&folder), "--identity", &identity]);
        fs::remove_dir_all(&folder).expect("removed");
    }
    println!("{} texts opted out in {:.1} s", options.alike, begun.elapsed().as_secs_f64());
    let some = room.path().join("some.jsonl");
    let lines = BufReader::new(File::open(rows("rows.jsonl")).expect("just written")).lines();
    let mut out = BufWriter::new(File::create(&some).expect("made"));
    lines
        .take(COMPARED)
        .for_each(|line| writeln!(out, "{}", line.expect("text")).expect("written"));
    drop(out);
    node.scan("likeness", &some, &["--content", "text"]);
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// A language of its own.
struct Words(Vec<String>);

impl Words {
    fn new() -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(7);
        let syllables =
            ["ka", "lo", "mi", "ter", "sun", "ver", "pol", "dra", "nix", "qua", "fen", "zil"];
        let mut word = || {
            let length = random.random_range(1..=4);
            (0..length).map(|_| syllables[random.random_range(0..syllables.len())]).collect()
        };
        Self((0..5_000).map(|_| word()).collect())
    }

    fn text(&self, seed: u64, words: usize) -> String {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut word = || self.0[random.random_range(0..self.0.len())].as_str();
        (0..words).map(|_| word()).collect::<Vec<_>>().join(" ")
    }
}

/// Rows of five columns, some 200 bytes each, in two formats; and those that are opted out.
fn write_rows(dir: &Path, words: &Words, rows: usize) {
    let create = |name| BufWriter::new(File::create(dir.join(name)).expect("made"));
    let (mut csv, mut jsonl, mut out) =
        (create("rows.csv"), create("rows.jsonl"), create("out.jsonl"));
    writeln!(csv, "id,url,text,licence,score").expect("written");
    for row in 0..rows {
        let text = words.text(row as u64, 14 + row % 11);
        let url = format!("https://example.org/{}/{row}.html", row % 977);
        let (licence, score) = (["cc-by", "cc0", "mit"][row % 3], row % 1_000);
        writeln!(csv, "{row},{url},{text},{licence},{score}").expect("written");
        let line = format!(
            "{{\"id\": {row}, \"url\": \"{url}\", \"text\": \"{text}\", \"licence\": \"{licence}\", \
             \"score\": {score}}}"
        );
        writeln!(jsonl, "{line}").expect("written");
        if row % OPTED_OUT == 7 {
            writeln!(out, "{line}").expect("written");
        }
    }
}

/// A node on loopback that knows nobody.
struct Node {
    program: PathBuf,
    home: PathBuf,
    process: Child,
}

impl Node {
    fn start(program: &Path, dir: &Path) -> Self {
        let home = dir.join("home");
        let mut command = Command::new(program);
        command.args(["--json", "up", "--bind", "127.0.0.1", "--no-mdns", "--dir"]).arg(&home);
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = command.spawn().expect("it starts");
        let mut ready = String::new();
        let out = process.stdout.take().expect("piped");
        BufReader::new(out).read_line(&mut ready).expect("a line");
        assert!(ready.contains("ready"), "{ready}");
        Self { program: program.to_owned(), home, process }
    }

    fn ask(&self, args: &[&str]) -> Value {
        let mut command = Command::new(&self.program);
        let asked = command.arg("--json").args(args).arg("--dir").arg(&self.home).output();
        let asked = asked.expect("it runs");
        serde_json::from_slice(&asked.stdout).unwrap_or_else(|error| panic!("{error}: {asked:?}"))
    }

    fn scan(&self, what: &str, table: &Path, more: &[&str]) {
        let status = PathBuf::from(format!("/proc/{}/status", self.process.id()));
        // From here on the most memory is that of this scan.
        let _ = fs::write(status.with_file_name("clear_refs"), "5");
        let before = mebibytes(&status, "VmRSS:");
        let path = shown(table);
        let common =
            ["consent", "scan", &path, "--use", "train-generative", "--default", "opt-out"];
        let reply = self.ask(&[&common, more].concat());
        let (items, ms) = (reply["items"].as_u64(), reply["elapsed_ms"].as_u64());
        let (items, ms) = (items.expect("a number"), ms.expect("a number").max(1));
        println!(
            "{what:<8} of {}: {} rows in {:.1} s, {} a second, {} refused, {} MiB more at most",
            table.file_name().unwrap_or_default().display(),
            items,
            ms as f64 / 1e3,
            items * 1_000 / ms,
            reply["refused"],
            mebibytes(&status, "VmHWM:").saturating_sub(before),
        );
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn mebibytes(status: &Path, name: &str) -> u64 {
    let status = fs::read_to_string(status).unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) / 1024
}
