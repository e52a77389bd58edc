//! What compression costs in quality, beside dense federated averaging.
//!
//! `cargo bench -p tests --bench compress [-- --rounds N --seeds N --task NAME --way NAME --momentum MILLI]`: ten trainers on the shipped digits,
//! split by Dirichlet(0.5), and ten on text, a small language model: the next letter from the eight before
//! it, on the words of this repository's own documents. For each encoding, both ways (updates up, steps
//! down), the bytes of a round as a part of the dense f32 model, and the accuracy or loss on held-out rows,
//! the mean over the seeds. Dense means: the weighted mean of the exact changes, in doubles, added to the
//! model.
//!
//! What it is not: a network (see the byte counts of a real run in `accord run status`).

#[path = "common/federation.rs"]
mod federation;

use std::fmt::Write;
use std::path::Path;

use federation::Federation;
use protocol::aggregate::{Contribution, Outer, Plan, Rule, aggregate_whole};
use protocol::run::Work;
use protocol::update::{Encoding, Update, UpdateForm};
use protocol::weights::Weights;
use protocol::{CommitId, SecretKey};
use trainer::data::split;
use trainer::{Evaluation, LocalOptions, Table, TableOptions};

const TRAINERS: usize = 10;
/// Letters that the language model sees.
const WINDOW: usize = 8;
/// Rows of text.
const TEXT_ROWS: usize = 40_000;

/// A way to send changes: up and down; dense if there is none.
type Way = Option<(Encoding, Encoding)>;

/// Data, and how each trainer learns from them.
struct Task {
    name: &'static str,
    federation: Federation,
    shares: Vec<Table>,
    work: Work,
    learning_rate: f64,
}

fn main() {
    let words: Vec<String> = std::env::args().collect();
    let number = |name: &str, default: u64| {
        let at = words.iter().position(|word| word == name);
        at.map_or(default, |at| words[at + 1].parse().expect("a number"))
    };
    let wanted = |name: &str, value: &str| {
        let at = words.iter().position(|word| word == name);
        at.is_none_or(|at| value.contains(&words[at + 1]))
    };
    let (rounds, seeds) = (number("--rounds", 100), number("--seeds", 3));
    // Of Nesterov's outer optimizer; none is averaging.
    let momentum_milli = number("--momentum", 0) as u32;
    let outer = match momentum_milli {
        0 => Outer::Average,
        _ => Outer::Nesterov { rate_milli: 1_000 - momentum_milli, momentum_milli },
    };
    let top_k = |per_chunk| Encoding::TopK { per_chunk };
    let max_of = |group| Encoding::MaxOf { group };
    let ways: [(&str, Way); 8] = [
        ("dense f32", None),
        ("int8", Some((Encoding::Int8, Encoding::Int8))),
        ("top 180 of 4,096", Some((top_k(180), top_k(180)))),
        ("top 64 of 4,096", Some((top_k(64), top_k(64)))),
        ("one of 8", Some((max_of(8), max_of(8)))),
        ("one of 16 up, of 8 down", Some((max_of(16), max_of(8)))),
        ("one of 32 up, of 8 down", Some((max_of(32), max_of(8)))),
        ("sign", Some((Encoding::Sign, Encoding::Sign))),
    ];
    println!("{TRAINERS} trainers, {rounds} rounds, {seeds} seeds");
    for task in [digits as fn(u64) -> Task, text] {
        let first = task(0);
        if !wanted("--task", first.name) {
            continue;
        }
        println!("\n| {} | up | down | accuracy | loss |\n|---|---|---|---|---|", first.name);
        for (name, way) in ways.iter().filter(|(name, _)| wanted("--way", name)) {
            let (mut accuracy, mut loss) = (0.0, 0.0);
            let mut parts = (1.0, 1.0);
            for seed in 0..seeds {
                let task = task(seed);
                let score = run(&task, *way, &outer, rounds, seed);
                accuracy += 100.0 * score.accuracy() / seeds as f64;
                loss += score.loss() / seeds as f64;
                parts = part_of_dense(&task, *way);
            }
            let part =
                |part: f64| if part == 1.0 { "1".into() } else { format!("1/{:.0}", 1.0 / part) };
            let (up, down) = (part(parts.0), part(parts.1));
            println!("| {name} | {up} | {down} | {accuracy:.2} % | {loss:.4} |");
        }
    }
}

fn part_of_dense(task: &Task, way: Way) -> (f64, f64) {
    let parameters = task.federation.start.parameters();
    let Some((up, down)) = way else { return (1.0, 1.0) };
    let form = |encoding| UpdateForm { encoding, parameters };
    let dense = 4.0 * parameters as f64;
    (form(up).update_bytes() as f64 / dense, form(down).step_bytes() as f64 / dense)
}

fn run(task: &Task, way: Way, outer: &Outer, rounds: u64, seed: u64) -> Evaluation {
    let parameters = task.federation.start.parameters();
    let (mut weights, mut state) = (task.federation.start.clone(), Vec::new());
    let mut residuals = vec![vec![0.0; parameters]; TRAINERS];
    for round in 0..rounds {
        let learnt: Vec<(u64, Vec<f32>)> = (task.shares.iter().zip(0u64..))
            .map(|(share, at)| {
                let options = LocalOptions {
                    work: task.work,
                    batch_samples: 32,
                    learning_rate: task.learning_rate,
                    momentum: 0.9,
                    seed: seed * 1_000_000 + round * 100 + at,
                };
                task.federation.learn(share, &weights, &options)
            })
            .collect();
        let Some((up, down)) = way else {
            weights = averaged(&weights, &learnt);
            continue;
        };
        let update = UpdateForm { encoding: up, parameters };
        let rule = Rule::ClippedMean { norm_max_milli: 1_000_000_000, median_milli: 0 };
        let plan = Plan { update, step: Some(down), rule, outer: *outer, seed: [0; 32] };
        let updates: Vec<(u64, Update)> = learnt
            .iter()
            .enumerate()
            .map(|(at, (samples, delta))| {
                let key = SecretKey::from_seed(&[at as u8; 32]).public();
                (*samples, Update::make(&update, key, delta, &mut residuals[at]))
            })
            .collect();
        let contributions: Vec<Contribution<'_>> = (updates.iter().zip(0u8..))
            .map(|((samples, update), at)| Contribution::of(CommitId::of(&[at]), *samples, update))
            .collect();
        let next = aggregate_whole(&plan, &weights, &state, &contributions, 2).expect("a round");
        (weights, state) = (next.weights, next.state);
    }
    task.federation.score(&weights).expect("a model that can be judged")
}

/// Federated averaging without any compression.
fn averaged(weights: &Weights, learnt: &[(u64, Vec<f32>)]) -> Weights {
    let total: u64 = learnt.iter().map(|(samples, _)| samples).sum();
    let value = |(at, value): (usize, &f32)| {
        let sum: f64 = learnt.iter().map(|(n, delta)| *n as f64 * f64::from(delta[at])).sum();
        (f64::from(*value) + sum / total as f64) as f32
    };
    let values = weights.values().iter().enumerate().map(value).collect();
    Weights::from_flat(weights.layout().to_vec(), values).expect("a model")
}

fn digits(seed: u64) -> Task {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../node/assets/digits.csv");
    let table = Table::open(&path, &TableOptions::new("label")).expect("a table");
    let labels = table.labels();
    let (rest, held) = split::held_out(&labels, 200, seed);
    let shares = split::dirichlet(&rest, &labels, TRAINERS, 500, seed);
    Task {
        name: "digits, Dirichlet(0.5)",
        federation: Federation::new(&table.part(&rest), table.part(&held), &[64], seed),
        shares: shares.iter().map(|rows| table.part(rows)).collect(),
        work: Work::Epochs(5),
        learning_rate: 0.05,
    }
}

/// The documents' letters, `a` to `z` and one for all else, runs of which are one.
fn letters() -> Vec<u8> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let names =
        ["protocol", "consent", "threat-model", "transparency", "proofs", "scan", "architecture"];
    let mut letters = vec![26u8];
    for name in names {
        let text = std::fs::read(root.join(format!("docs/{name}.md"))).expect("a document");
        for byte in text {
            let letter = match byte.to_ascii_lowercase() {
                letter @ b'a'..=b'z' => letter - b'a',
                _ => 26,
            };
            if letter != 26 || letters.last() != Some(&26) {
                letters.push(letter);
            }
        }
    }
    letters
}

fn text(seed: u64) -> Task {
    let letters = letters();
    let mut csv = String::new();
    for place in 0..WINDOW {
        for letter in 0..27 {
            write!(csv, "p{place}l{letter},").expect("writing to a String does not fail");
        }
    }
    csv.push_str("next\n");
    let stride = (letters.len() - WINDOW - 1) / TEXT_ROWS;
    for row in 0..TEXT_ROWS {
        let window = &letters[row * stride.max(1)..][..WINDOW + 1];
        for letter in &window[..WINDOW] {
            for at in 0..27 {
                csv.push_str(if at == *letter { "1," } else { "0," });
            }
        }
        writeln!(csv, "l{}", window[WINDOW]).expect("writing to a String does not fail");
    }
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("text.csv");
    std::fs::write(&path, csv).expect("written");
    let table = Table::open(&path, &TableOptions::new("next")).expect("a table");
    // Every tenth block of rows is held out; the others are cut among the trainers as they come.
    let block = |row: &usize| row / 200;
    let (held, rest): (Vec<usize>, Vec<usize>) =
        (0..TEXT_ROWS).partition(|row| block(row).is_multiple_of(10));
    let each = rest.len() / TRAINERS;
    Task {
        name: "next letter of text",
        federation: Federation::new(&table.part(&rest), table.part(&held), &[96], seed),
        shares: rest.chunks_exact(each).take(TRAINERS).map(|rows| table.part(rows)).collect(),
        work: Work::Steps(60),
        learning_rate: 0.1,
    }
}
