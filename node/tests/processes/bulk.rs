//! A benchmark: how long it takes a node to get a large ledger from another, by processes on loopback.
//!
//! Run by `ACCORD_BULK_RECORDS=1000000 cargo test --release -p node --test processes bulk -- --ignored
//! --nocapture`; the records are made once and kept in the directory for temporary files.
//!
//! Invariants: the records are real, signed by identities born with the work that is asked for; both
//! nodes are the program as it is. What it is not: a test that a figure is reached.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use consent::{Identity, Record, Statement, Use, head_at};
use protocol::limits::GENESIS_WORK_BITS;
use protocol::{ContentId, SecretKey, Signed};

use super::node::Node;

const IDENTITIES: usize = 20;
/// How long the transfer may take; many times what it should.
const PATIENCE: Duration = Duration::from_secs(900);
const TICKS_PER_SECOND: f64 = 100.0;

#[test]
#[ignore = "a benchmark, of a million records by default"]
fn a_ledger_is_brought_whole() {
    let records = std::env::var("ACCORD_BULK_RECORDS").ok().and_then(|text| text.parse().ok());
    let records: usize = records.unwrap_or(1_000_000);
    let made = made(records);
    let dir = tempfile::tempdir().expect("a directory");
    let dir = dir.path();
    let mut giver = Node::start(dir, "giver", &[]);
    giver.stop();
    fs::copy(&made, dir.join("giver/ledger/records")).expect("copied");
    for name in ["the first time", "again"] {
        let started = Instant::now();
        giver.restart(&[]);
        println!("start with {records} records, {name}: {:.1?}", started.elapsed());
        if name == "the first time" {
            giver.stop();
        }
    }
    let giver_before = cpu(giver.id());
    // From when it is ready on: it may have begun just before.
    let taker = Node::start(dir, "taker", &[&giver]);
    let started = Instant::now();
    let log = dir.join("taker/ledger/records");
    let whole = fs::metadata(&made).expect("there").len();
    while fs::metadata(&log).map_or(0, |file| file.len()) < whole {
        assert!(started.elapsed() < PATIENCE, "{:?}", fs::metadata(&log));
        // Asking costs what the node could do meanwhile; its next answer is soon enough.
        taker.json(&["status"]);
    }
    let took = started.elapsed().as_secs_f64();
    println!(
        "{records} records, {whole} bytes in {took:.1} s: {:.0} records/s, {:.1} MB/s",
        records as f64 / took,
        whole as f64 / took / 1e6
    );
    println!(
        "giver: {:.1} s of processor, {} MiB at most; taker: {:.1} s, {} MiB",
        cpu(giver.id()) - giver_before,
        peak_mib(giver.id()),
        cpu(taker.id()),
        peak_mib(taker.id())
    );
    assert_eq!(taker.json(&["status"])["records"], records);
}

/// A ledger's `records` file with so many records; made if it is not there.
fn made(records: usize) -> PathBuf {
    let path = std::env::temp_dir().join(format!("accord-bulk-{records}"));
    if path.exists() {
        return path;
    }
    let partial = path.with_extension("partial");
    let each = records.div_ceil(IDENTITIES);
    let mut out = BufWriter::new(File::create(&partial).expect("a file"));
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    for some in (0..IDENTITIES).collect::<Vec<_>>().chunks(threads) {
        let feeds = std::thread::scope(|scope| {
            let feed = |at: usize| {
                let count = each.min(records - (at * each).min(records));
                scope.spawn(move || feed(at, count))
            };
            let started: Vec<_> = some.iter().map(|at| feed(*at)).collect();
            started.into_iter().map(|it| it.join().expect("made")).collect::<Vec<_>>()
        });
        feeds.iter().flatten().for_each(|record| write(&mut out, record));
    }
    out.flush().expect("written");
    fs::rename(&partial, &path).expect("renamed");
    path
}

/// One identity's feed: a record for each of so many works, but for the first.
fn feed(identity: usize, count: usize) -> Vec<Signed<Record>> {
    let key = |n: u8| {
        let mut seed = [n; 32];
        seed[..8].copy_from_slice(&(identity as u64).to_le_bytes());
        SecretKey::from_seed(&seed)
    };
    let me = Identity::new(key(1), key(2), 0);
    let mut records = Vec::with_capacity(count);
    for n in 0..count {
        let record = match records.last() {
            None => me.genesis(GENESIS_WORK_BITS).expect("a genesis"),
            Some(last) => {
                let work = ContentId::of(&[identity.to_le_bytes(), n.to_le_bytes()].concat());
                let deny = Statement::deny(&[Use::TrainGenerative]).over([work]).remove(0);
                me.statement(&head_at(last), &deny).expect("a statement")
            }
        };
        records.push(record);
    }
    records
}

/// As a node's log has it: length, time and envelope, and the start of their hash.
fn write(out: &mut impl Write, record: &Signed<Record>) {
    let frame = [&1u64.to_le_bytes(), record.bytes()].concat();
    let length = (frame.len() as u32).to_le_bytes();
    let hash = blake3::Hasher::new().update(&length).update(&frame).finalize();
    for part in [&length[..], &frame, &hash.as_bytes()[..8]] {
        out.write_all(part).expect("written");
    }
}

/// Seconds of processor that a process has had.
fn cpu(process: u32) -> f64 {
    let stat = fs::read_to_string(Path::new("/proc").join(process.to_string()).join("stat"));
    let stat = stat.unwrap_or_default();
    // The fields after the name in parentheses; user and system time are the 14th and 15th.
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>()
        / TICKS_PER_SECOND
}

/// The most memory that a process has had, in MiB.
fn peak_mib(process: u32) -> u64 {
    let status = fs::read_to_string(Path::new("/proc").join(process.to_string()).join("status"));
    let status = status.unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = peak.and_then(|peak| peak.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or_default() / 1024
}
