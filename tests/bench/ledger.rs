//! The ledger at size: how fast it is there again, how much it holds, how fast the gate answers.
//!
//! ```text
//! cargo bench -p tests --bench ledger -- [RECORDS] [--home DIR]
//! ```
//!
//! Role: makes digests of RECORDS denials (ten million if left out), each of one work, by a hundred
//! thousand identities at most; replays them, and asks the gate about works that are denied and works
//! that nobody spoke of. With `--home` it instead writes the log of such a ledger into DIR/ledger, for
//! an `accord up --dir DIR` to be timed.
//! What it is not: a test. It asserts nothing about time.

use std::fs;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use consent::{
    Admitted, Gate, Identity, Inserted, Ledger, Policy, Replay, SetAside, Silence, Statement, Use,
    head_at,
};
use protocol::{ContentId, RecordId, SecretKey};

const PER_FEED: u64 = 1_000;
const ASKED: u64 = 4_000_000;
const ROUNDS: usize = 5;
/// How many works a caller with many looks at together.
const TOGETHER: usize = 32;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let records = arguments.first().and_then(|a| a.parse().ok()).unwrap_or(10_000_000);
    match arguments.iter().position(|a| a == "--home") {
        Some(at) => write_home(Path::new(&arguments[at + 1]), records),
        None => measure(records),
    }
}

fn work(n: u64) -> ContentId {
    ContentId::of(&n.to_le_bytes())
}

/// Digests as the ledger makes them, with ids and works put in: no ten million signatures.
struct Digests {
    genesis: Vec<u8>,
    denial: Vec<u8>,
    records: u64,
}

impl Digests {
    fn new() -> Self {
        let key = |seed| SecretKey::from_seed(&[seed; 32]);
        let me = Identity::new(key(1), key(2), 0);
        let genesis = me.genesis(0).expect("genesis");
        let statement = &Statement::deny(&Use::TRAINING).over([work(0)])[0];
        let record = me.statement(&head_at(&genesis), statement).expect("statement");
        let records = (record.bytes().len() + 8) as u64;
        let mut ledger = Ledger::new();
        let mut digest = |record| {
            let Ok(Inserted::New(admitted)) = ledger.insert(record, 1) else { panic!("new") };
            let admitted: Vec<Admitted> = admitted;
            ledger.digest(&admitted[0])
        };
        let (genesis, denial) = (digest(genesis), digest(record));
        Self { genesis, denial, records }
    }

    /// Hands each record's digest to `each`.
    fn each(&self, records: u64, mut each: impl FnMut(&[u8])) {
        let (mut genesis, mut denial) = (self.genesis.clone(), self.denial.clone());
        let place = self.place();
        for at in 0..records {
            let id = RecordId::of(&at.to_be_bytes());
            let (feed, seq) = (at / PER_FEED, at % PER_FEED);
            if seq == 0 {
                genesis[..32].copy_from_slice(id.as_bytes());
                let author = SecretKey::from_seed(work(feed + (1 << 60)).as_bytes()).public();
                genesis[41..73].copy_from_slice(author.as_bytes());
                each(&genesis);
                continue;
            }
            denial[..32].copy_from_slice(id.as_bytes());
            denial[41..45].copy_from_slice(&(feed as u32).to_le_bytes());
            denial[45..49].copy_from_slice(&(at as u32 - 1).to_le_bytes());
            denial[49..53].copy_from_slice(&(seq as u32).to_le_bytes());
            denial[place..place + 32].copy_from_slice(work(at).as_bytes());
            each(&denial);
        }
    }

    /// Where the work stands in a denial's digest.
    fn place(&self) -> usize {
        let content = work(0);
        let place = self.denial.windows(32).position(|part| part == content.as_bytes());
        place.expect("a denial names its work")
    }
}

fn measure(records: u64) {
    let digests = Digests::new();
    let mut replay = Replay::new(Ledger::new());
    let (mut some, mut replaying): (Vec<Vec<u8>>, _) = (Vec::new(), Duration::ZERO);
    let mut take = |some: &mut Vec<Vec<u8>>| {
        let began = Instant::now();
        some.iter().for_each(|digest| replay.take(digest).expect("it follows"));
        replaying += began.elapsed();
        some.clear();
    };
    // Making them is not part of what is timed.
    digests.each(records, |digest| {
        some.push(digest.to_vec());
        if some.len() == 4_096 {
            take(&mut some);
        }
    });
    take(&mut some);
    let began = Instant::now();
    let ledger = replay.finish().expect("none is there twice");
    replaying += began.elapsed();
    println!("replayed {} records in {:.2} s", ledger.len(), replaying.as_secs_f64());
    let policy = Policy { default: Silence::OptOut, ..Policy::default() };
    let gate = Gate::new(&ledger, &policy, 1 << 40);
    let aside = SetAside::default();
    let works: Vec<(ContentId, ContentId)> = (0..ASKED)
        .map(|at| {
            let at = at.wrapping_mul(0x9e37_79b9_7f4a_7c15) % records;
            (work(at | 1), work(at + (1 << 50)))
        })
        .collect();
    for round in 0..ROUNDS {
        let time = |pick: fn(&(ContentId, ContentId)) -> ContentId, together: usize| {
            let began = Instant::now();
            let mut denied = 0;
            for some in works.chunks(together.max(1)) {
                if together > 0 {
                    gate.look_ahead(&some.iter().map(pick).collect::<Vec<_>>());
                }
                let check = |pair| gate.check(&pick(pair).into(), Use::TrainOther, &aside).is_err();
                denied += some.iter().filter(|pair| check(pair)).count();
            }
            (denied, ASKED as f64 / began.elapsed().as_secs_f64() / 1e6)
        };
        let (denied, known) = time(|pair| pair.0, 0);
        let (silent, unknown) = time(|pair| pair.1, 0);
        let (denied_too, known_together) = time(|pair| pair.0, TOGETHER);
        let (silent_too, unknown_together) = time(|pair| pair.1, TOGETHER);
        assert_eq!((denied, silent), (denied_too, silent_too), "looking ahead changes no answer");
        println!(
            "round {round}, million a second: denied works ({denied} refused) {known:.2}, {TOGETHER} \
             together {known_together:.2}; works nobody spoke of ({silent} refused) {unknown:.2}, \
             together {unknown_together:.2}"
        );
    }
    println!("resident at most: {} MiB", resident_mib());
}

/// The most memory that the process had, in MiB.
fn resident_mib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) / 1024
}

fn write_home(dir: &Path, records: u64) {
    let digests = Digests::new();
    let ledger = dir.join("ledger");
    fs::create_dir_all(&ledger).expect("a directory");
    let create = |name| BufWriter::new(fs::File::create(ledger.join(name)).expect("a file"));
    let (mut of_records, mut of_digests) = (create("records"), create("digests"));
    let record = vec![7; digests.records as usize];
    let record = frame(&record);
    let length = (digests.records as u32).to_le_bytes();
    digests.each(records, |digest| {
        of_records.write_all(&record).expect("written");
        of_digests.write_all(&frame(&[&length, digest].concat())).expect("written");
    });
    of_records.flush().expect("written");
    of_digests.flush().expect("written");
}

/// As the node's log frames bytes.
fn frame(bytes: &[u8]) -> Vec<u8> {
    let length = (bytes.len() as u32).to_le_bytes();
    let hash = blake3::Hasher::new().update(&length).update(bytes).finalize();
    [&length, bytes, &hash.as_bytes()[..8]].concat()
}
