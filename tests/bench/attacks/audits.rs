//! What audits of work tell honest trainers from hostile ones by.
//!
//! Each update is looked at by one honest trainer, on its own rows, as auditors do: at its share of the
//! round, beside another of the round's.
//!
//! What it is not: networked, nor by auditors who lie.

use protocol::aggregate::Rule;
use protocol::limits::{ALIKE_MIN_MILLI, HARM_MIN_MICRO};
use protocol::update::{Excerpt, Update};
use protocol::weights::Weights;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use super::hostile::Attack;
use super::scene::{self, Cell, Scene, Seen, Split, TRAINERS};

const HOSTILE: usize = 4;
const HONEST: usize = TRAINERS - HOSTILE;

/// Counts of honest updates, and of hostile ones.
#[derive(Default)]
struct Counts {
    looked_at: [u32; 2],
    passed: [u32; 2],
    alike: [u32; 2],
}

impl Counts {
    /// Looks at every update of a round.
    fn see(&mut self, scene: &Scene, split: Split, seen: &Seen<'_>, rng: &mut ChaCha8Rng) {
        let total: u64 = seen.updates.iter().map(|(samples, _)| samples).sum();
        let chunks: Vec<usize> = (0..seen.form.chunks()).collect();
        let excerpt = |update| Excerpt::of(&seen.form, update, &chunks).expect("in memory");
        let excerpts: Vec<Excerpt> = seen.updates.iter().map(|(_, it)| excerpt(it)).collect();
        for at in 0..TRAINERS {
            let mut other = |below: usize, not: &[usize]| loop {
                let drawn = rng.random_range(0..below);
                if !not.contains(&drawn) {
                    return drawn;
                }
            };
            let auditor = other(HONEST, &[at]);
            let control = other(TRAINERS, &[at, auditor]);
            let rows = scene.rows(split, auditor);
            let loss = |weights: &Weights| {
                scene.federation.score_on(rows, weights).map_or(u64::MAX, |score| score.loss_micro)
            };
            let with = |at: usize| {
                let (samples, update) = &seen.updates[at];
                loss(&plus(seen, update, *samples as f32 / total as f32))
            };
            let after = with(at);
            let passed = after < loss(seen.base) + HARM_MIN_MICRO || after <= with(control);
            let like = |(of, other): (usize, &Excerpt)| {
                of != at && excerpts[at].cosine_milli(other) >= ALIKE_MIN_MILLI
            };
            let of = usize::from(at >= HONEST);
            self.looked_at[of] += 1;
            self.passed[of] += u32::from(passed);
            self.alike[of] += u32::from(excerpts.iter().enumerate().any(like));
        }
    }

    fn percent(&self, counted: [u32; 2]) -> [f64; 2] {
        [0, 1].map(|of| 100.0 * f64::from(counted[of]) / f64::from(self.looked_at[of].max(1)))
    }
}

fn plus(seen: &Seen<'_>, update: &Update, share: f32) -> Weights {
    let pairs = seen.base.values().iter().zip(update.values(&seen.form));
    let values = pairs.map(|(base, delta)| base + share * delta).collect();
    Weights::from_flat(seen.base.layout().to_vec(), values).expect("near the base")
}

/// For each split of the data: in how many of a hundred audits updates passed, and how many of a hundred
/// updates were named as like another.
pub(crate) fn print(scenes: &[Scene], rule: &Rule) {
    println!("{HOSTILE} hostile");
    for split in [Split::Iid, Split::Dirichlet] {
        println!("\n{split:?}\n| attack | passed: honest | hostile | alike: honest | hostile |");
        println!("|---|---|---|---|---|");
        for attack in Attack::ALL {
            let mut counts = Counts::default();
            for (seed, scene) in scenes.iter().enumerate() {
                let cell = Cell { split, rule: 0, hostile: HOSTILE, attack };
                let mut rng = ChaCha8Rng::seed_from_u64(seed as u64);
                let outcome = scene.run(&cell, rule, &mut |seen| {
                    // Before it begins, a late attack is none.
                    if attack != Attack::LateOnset || seen.round >= scene::ROUNDS / 2 {
                        counts.see(scene, split, seen, &mut rng);
                    }
                });
                eprintln!("{} {split:?} {seed}: {outcome:?}", attack.name());
            }
            let [honest, hostile] = counts.percent(counts.passed);
            let [honest_alike, hostile_alike] = counts.percent(counts.alike);
            println!(
                "| {} | {honest:.0} | {hostile:.0} | {honest_alike:.1} | {hostile_alike:.1} |",
                attack.name()
            );
        }
    }
}
