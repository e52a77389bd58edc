//! How fast a consent record opens, beside the signature check inside it.
//!
//! One run times `Signed::<Record>::open` and `ed25519-dalek`'s `verify_strict` on a message of the
//! same length in turns, so that whatever else the machine does slows both; the ratio of a turn is
//! the figure, the median over turns is what counts. A decompressed key is given to `verify_strict`
//! for nothing: `open` has to make its own.
//!
//! Run: `cargo bench -p tests --bench verify`. What it is not: a test. It fails on nothing.

use std::hint::black_box;
use std::time::Instant;

use consent::{Origin, Record, Statement, Subject, Use};
use ed25519_dalek::{Signer, SigningKey};
use protocol::{ContentId, FileHash, RecordId, SecretKey, Signed, codec};

const SEED: [u8; 32] = [7; 32];
const TURNS: usize = 41;
const RECORDS: usize = 200;
/// What the signed structure of RFC 9052 (section 4.4) is shorter by than the envelope.
const ENVELOPE_MORE_BYTES: usize = 39;

fn main() {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    println!("record          bytes   open/s  strict/s  ratio   all {cores} cores: open/s");
    for (name, subjects, is_from_outside) in
        [("one work", 1, false), ("deny, typical", 5, true), ("deny, 256 works", 256, true)]
    {
        let records: Vec<_> =
            (0..RECORDS as u64).map(|seq| record(seq, subjects, is_from_outside)).collect();
        row(name, &records, cores);
    }
}

/// A refusal of all training for `subjects` works, with the origin of the term it was made from.
fn record(seq: u64, subjects: u64, is_from_outside: bool) -> Vec<u8> {
    let works =
        (0..subjects).map(|work| ContentId::of(&[seq, work].map(u64::to_le_bytes).concat()));
    let mut statement =
        Statement::deny(&Use::TRAINING).over_subjects(works.map(Subject::Content)).remove(0);
    if is_from_outside {
        statement.origin = Some(Origin { scheme: "aipref".into(), version: "07".into() });
    }
    let key = SecretKey::from_seed(&SEED);
    let record = Record {
        author: key.public(),
        feed: 0,
        seq: seq + 1,
        prev: Some(RecordId::of(&seq.to_le_bytes())),
        kind: "statement".into(),
        payload: codec::encode(&statement),
        remark: is_from_outside.then(|| FileHash::of(b"the term")),
    };
    Signed::sign(record, &key).bytes().to_vec()
}

fn row(name: &str, records: &[Vec<u8>], cores: usize) {
    let bytes = records[0].len();
    let key = SigningKey::from_bytes(&SEED);
    let signed: Vec<_> = records
        .iter()
        .map(|record| {
            let message = record[..record.len() - ENVELOPE_MORE_BYTES].to_vec();
            let signature = key.sign(&message);
            (message, signature)
        })
        .collect();
    let verifying = key.verifying_key();
    let strict = || {
        for (message, signature) in &signed {
            black_box(verifying.verify_strict(message, signature)).expect("signed above");
        }
    };
    let open = || {
        for record in records {
            black_box(Signed::<Record>::open(record)).expect("signed above");
        }
    };
    let turns: Vec<(f64, f64)> = (0..TURNS).map(|_| (seconds(open), seconds(strict))).collect();
    let rate = |of: fn(&(f64, f64)) -> f64| records.len() as f64 / median(turns.iter().map(of));
    let ratio = median(turns.iter().map(|(open, strict)| strict / open));
    let all = median((0..TURNS / 4).map(|_| {
        seconds(|| std::thread::scope(|scope| (0..cores).for_each(|_| _ = scope.spawn(open))))
    }));
    println!(
        "{name:15} {bytes:5} {:8.0} {:9.0}  {ratio:5.3}   {:8.0}",
        rate(|turn| turn.0),
        rate(|turn| turn.1),
        (records.len() * cores) as f64 / all,
    );
}

fn seconds(work: impl FnOnce()) -> f64 {
    let began = Instant::now();
    work();
    began.elapsed().as_secs_f64()
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
