//! How fast a round is aggregated, beside how fast this machine copies memory.
//!
//! `cargo bench -p tests --bench aggregate [-- --parameters N --updates N --threads N --rule NAME --memory]`: updates,
//! model and results are files in the temporary directory (with `--memory`, byte strings), read and
//! written once before anything is timed. Prints, for each rule, the bytes read and written a second and
//! their part of what copying moves (bytes read and written), the median of nine, and the most memory that
//! the process had.
//!
//! What it is not: a test of the result (see `protocol::aggregate`).

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::time::Instant;

use protocol::CommitId;
use protocol::aggregate::{
    Contribution, DISCOUNT_ONE, Inputs, Memory, Outer, Outputs, Plan, Rule, Sink, Source, Tape,
    TapeError, aggregate,
};
use protocol::update::{CHUNK, Encoding, UPDATE_HEAD_BYTES, UpdateForm, quantise};

const ROUNDS: usize = 9;

/// A file as a tape.
struct Paper(File);

impl Source for Paper {
    fn bytes(&self) -> u64 {
        self.0.metadata().map_or(0, |meta| meta.len())
    }
    fn read_at(&self, at: u64, into: &mut [u8]) -> Result<(), TapeError> {
        self.0.read_exact_at(into, at).map_err(|error| TapeError(error.to_string()))
    }
}

impl Sink for Paper {
    fn write_at(&self, at: u64, bytes: &[u8]) -> Result<(), TapeError> {
        self.0.write_all_at(bytes, at).map_err(|error| TapeError(error.to_string()))
    }
}

struct Options {
    parameters: usize,
    updates: usize,
    threads: usize,
    memory: bool,
    rule: String,
}

impl Options {
    fn read() -> Self {
        let words: Vec<String> = std::env::args().collect();
        let number = |name: &str, default: usize| {
            let at = words.iter().position(|word| word == name);
            at.map_or(default, |at| words[at + 1].parse().expect("a number"))
        };
        let text = |name: &str| {
            let at = words.iter().position(|word| word == name);
            at.map_or(String::new(), |at| words[at + 1].clone())
        };
        Self {
            parameters: number("--parameters", 100_000_000),
            updates: number("--updates", 16),
            threads: number(
                "--threads",
                std::thread::available_parallelism().map_or(1, Into::into),
            ),
            memory: words.iter().any(|word| word == "--memory"),
            rule: text("--rule"),
        }
    }

    fn source(&self, bytes: Vec<u8>) -> Box<dyn Source> {
        if self.memory { Box::new(bytes) } else { self.tape(bytes) }
    }

    fn tape(&self, bytes: Vec<u8>) -> Box<dyn Tape> {
        if self.memory {
            let tape = Memory::zeros(bytes.len() as u64);
            tape.write_at(0, &bytes).expect("there is room");
            return Box::new(tape);
        }
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(&bytes).expect("written");
        Box::new(Paper(file))
    }
}

/// Memory to copy, for each thread.
struct Copied(Vec<(Vec<u8>, Vec<u8>)>);

impl Copied {
    const BYTES: usize = 512 << 20;

    fn new(threads: usize) -> Self {
        Self((0..threads).map(|_| (vec![1; Self::BYTES], vec![2; Self::BYTES])).collect())
    }

    /// Bytes read and written a second when every thread copies.
    fn rate(&mut self) -> f64 {
        let started = Instant::now();
        std::thread::scope(|scope| {
            for (from, to) in &mut self.0 {
                scope.spawn(move || {
                    to.copy_from_slice(from);
                    std::hint::black_box(to);
                });
            }
        });
        (self.0.len() * Self::BYTES * 2) as f64 / started.elapsed().as_secs_f64()
    }
}

/// An update with noise in it: the same few chunks again and again, each update with its own.
fn update(form: &UpdateForm, seed: usize) -> Vec<u8> {
    let chunk = |n: usize, parameters: usize| -> Vec<i64> {
        let word =
            |at: usize| ((seed * 31 + n * 17 + at) as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (0..parameters).map(|at| (word(at) >> 36) as i64 - (1 << 27)).collect()
    };
    let made: Vec<Vec<u8>> = (0..8)
        .map(|n| {
            let mut bytes = Vec::new();
            quantise(&form.encoding, &mut chunk(n, CHUNK), &mut bytes);
            bytes
        })
        .collect();
    let mut bytes = vec![0; UPDATE_HEAD_BYTES];
    for at in 0..form.chunks() {
        match form.chunk_parameters(at) {
            CHUNK => bytes.extend(&made[at % made.len()]),
            parameters => quantise(&form.encoding, &mut chunk(at, parameters), &mut bytes),
        }
    }
    bytes
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn peak_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().split(' ').next()?.parse::<u64>().ok()).unwrap_or(0) / 1024
}

fn main() {
    let options = Options::read();
    let Options { parameters, updates, threads, .. } = options;
    let weights = options.tape(vec![0; parameters * 4]);
    println!(
        "{updates} updates of {parameters} parameters, {threads} threads, in {}",
        if options.memory { "memory" } else { "files" },
    );
    let mut copied = Copied::new(threads);
    let before = peak_mib();
    for encoding in [Encoding::Int8, Encoding::TopK { per_chunk: 64 }] {
        let form = UpdateForm { encoding, parameters };
        let tapes: Vec<_> = (0..updates).map(|seed| options.source(update(&form, seed))).collect();
        for rule in [
            Rule::ClippedMean { norm_max_milli: 1_000_000, median_milli: 1_000 },
            Rule::TrimmedMean { trim_milli: 200 },
            Rule::Median,
            Rule::MultiKrum { hostile_milli: 200 },
            Rule::CentredClip { bucket: 2, iterations: 3 },
        ] {
            let plan =
                Plan { update: form, step: None, rule, outer: Outer::Average, seed: [0; 32] };
            run(&options, &plan, &*weights, &tapes, &mut copied);
        }
        let outer = Outer::Nesterov { rate_milli: 700, momentum_milli: 900 };
        let rule = Rule::ClippedMean { norm_max_milli: 1_000_000, median_milli: 1_000 };
        let plan = Plan { update: form, step: Some(encoding), rule, outer, seed: [0; 32] };
        run(&options, &plan, &*weights, &tapes, &mut copied);
    }
    println!("most memory: {} MiB more than before", peak_mib() - before);
}

fn run(
    options: &Options,
    plan: &Plan,
    weights: &dyn Tape,
    tapes: &[Box<dyn Source>],
    copied: &mut Copied,
) {
    if !format!("{plan:?}").contains(&options.rule) {
        return;
    }
    let contributions: Vec<Contribution<'_>> = tapes
        .iter()
        .enumerate()
        .map(|(at, tape)| Contribution {
            id: CommitId::of(&at.to_le_bytes()),
            weight: 1 + at as u64,
            discount: DISCOUNT_ONE,
            norm: 1 << 32,
            source: &**tape,
        })
        .collect();
    let out = options.tape(vec![0; options.parameters * 4]);
    let state = options.tape(vec![0; plan.state().bytes() as usize]);
    let step = options.tape(vec![0; plan.step_form().map_or(0, |form| form.step_bytes() as usize)]);
    let no_state = Vec::new();
    let has_state = state.bytes() > 0;
    let inputs =
        Inputs { weights, weights_start: 0, state: if has_state { &*state } else { &no_state } };
    let outputs = Outputs { weights: &*out, state: &*state, step: &*step };
    let moved = tapes.iter().map(|tape| tape.bytes()).sum::<u64>()
        + 2 * out.bytes()
        + 2 * state.bytes()
        + step.bytes();
    let (mut rates, mut parts) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let copied = copied.rate();
        let started = Instant::now();
        aggregate(plan, &inputs, &contributions, &outputs, options.threads).expect("a result");
        let rate = moved as f64 / started.elapsed().as_secs_f64();
        rates.push(rate);
        parts.push(rate / copied);
    }
    let (rate, part) = (median(rates), median(parts));
    println!(
        "{:?} {:?} {:?}: {:.2} s, {:.2} GB/s, {:.2} of copying ({:.1} GB/s)",
        plan.update.encoding,
        plan.rule,
        plan.outer,
        moved as f64 / rate,
        rate / 1e9,
        part,
        rate / part / 1e9
    );
}
