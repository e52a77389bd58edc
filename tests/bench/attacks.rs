//! Every aggregation rule against every kind of hostile trainer, on the shipped digits.
//!
//! `cargo bench -p tests --bench attacks [-- --rule NAME --attack NAME --hostile N --seeds N]`: twenty
//! trainers, 15 rounds, a perceptron with one hidden layer; of the trainers 0 to 40 % are hostile. They
//! know what the honest ones send, as the worst do, and their updates take the same way through the
//! product's encoding and aggregate. Prints, for each split of the data and each share of hostile trainers,
//! the accuracy on held-out digits (mean over the seeds, in percent), and how many of the honest updates
//! were left out of the mean or cut to less than half.
//!
//! With `--audits` it says instead, under the first rule and a fifth of hostile trainers, what audits of
//! work would have found.
//!
//! Sources of the attacks: ALIE (Baruch et al. 2019, arXiv 1902.06156), IPM (Xie et al. 2020, arXiv
//! 1903.03936), mimic (Karimireddy et al. 2020, arXiv 2006.09365).
//!
//! What it is not: a proof. Nobody tries an attack here that is made for one rule.

#[path = "attacks/audits.rs"]
mod audits;
#[path = "common/federation.rs"]
mod federation;
#[path = "attacks/hostile.rs"]
mod hostile;
#[path = "attacks/scene.rs"]
mod scene;
#[path = "attacks/table.rs"]
mod table;

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use hostile::Attack;
use protocol::aggregate::Rule;
use scene::{Cell, Outcome, Scene, Split, TRAINERS};

/// The rules, by name; the first is what a run file says nothing of.
pub(crate) const RULES: [(&str, Rule); 7] = [
    ("clipped mean", Rule::ClippedMean { norm_max_milli: 20_000, median_milli: 1_000 }),
    ("trimmed mean", Rule::TrimmedMean { trim_milli: 200 }),
    ("median", Rule::Median),
    ("krum", Rule::Krum { hostile_milli: 200 }),
    ("multi-krum", Rule::MultiKrum { hostile_milli: 200 }),
    ("centred clip", Rule::CentredClip { bucket: 2, iterations: 3 }),
    ("plain mean", Rule::ClippedMean { norm_max_milli: 1_000_000_000, median_milli: 0 }),
];

/// Hostile trainers out of twenty.
pub(crate) const HOSTILE: [usize; 5] = [0, 2, 4, 6, 8];

fn main() {
    let words: Vec<String> = std::env::args().collect();
    let word = |name: &str| {
        let at = words.iter().position(|word| word == name)?;
        words.get(at + 1).cloned()
    };
    let seeds: u64 = word("--seeds").map_or(3, |text| text.parse().expect("a number"));
    let scenes: Vec<Scene> = (0..seeds).map(Scene::new).collect();
    println!("{TRAINERS} trainers, {} rounds, {seeds} seeds", scene::ROUNDS);
    if words.iter().any(|word| word == "--audits") {
        return audits::print(&scenes, &RULES[0].1);
    }
    let wanted = |name: &str, value: &str| word(name).is_none_or(|word| value.contains(&word));
    let mut cells = Vec::new();
    for split in [Split::Iid, Split::Dirichlet] {
        for at in (0..RULES.len()).filter(|at| wanted("--rule", RULES[*at].0)) {
            for hostile in HOSTILE.into_iter().filter(|n| wanted("--hostile", &n.to_string())) {
                for attack in
                    Attack::ALL.into_iter().filter(|attack| wanted("--attack", attack.name()))
                {
                    // Without hostile trainers all attacks are one.
                    if hostile > 0 || attack == Attack::ALL[0] {
                        cells.push(Cell { split, rule: at, hostile, attack });
                    }
                }
            }
        }
    }
    let next = AtomicUsize::new(0);
    let outcomes: Mutex<Vec<(Cell, Vec<Outcome>)>> = Mutex::default();
    let work = || {
        while let Some(cell) = cells.get(next.fetch_add(1, Ordering::Relaxed)) {
            let found = scenes
                .iter()
                .map(|scene| scene.run(cell, &RULES[cell.rule].1, &mut |_| {}))
                .collect();
            let mut outcomes = outcomes.lock().expect("no cell panics");
            outcomes.push((*cell, found));
            if outcomes.len().is_multiple_of(50) {
                eprintln!("{} of {} cells", outcomes.len(), cells.len());
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, Into::into) {
            scope.spawn(work);
        }
    });
    table::print(&outcomes.into_inner().expect("no cell panics"));
}
