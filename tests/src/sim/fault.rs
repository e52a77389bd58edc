//! Draws the plan of what goes wrong from the seed.
//!
//! Invariants: each kind of fault has a stream of its own, so that more of one shifts no other.
//! What it is not: the plan (see `plan`), nor what a fault does (see `world`).

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::byzantine::Lie;
use super::facts::CONTRIBUTORS;
use super::partition::Cut;
use super::plan::{Fault, Plan, Wrong};
use super::scenario::{Cast, Defect, Scenario, Trouble};
use super::seed::{Seed, pick};

/// How far a steady clock may be off: five of a hundred.
const DRIFT_MAX_PPM: i64 = 50_000;
/// How far a time of day may jump: half a day.
const JUMP_MAX_MS: i64 = 12 * 3_600_000;
/// Lies of one liar, at most.
const LIES_MAX: usize = 3;

/// Draws everything.
pub(super) fn plan(scenario: &Scenario, seed: &Seed) -> Plan {
    let mut rng = seed.child("healing").rng();
    let heals_ms = rng.random_range(scenario.heals_ms.0..=scenario.heals_ms.1);
    let mut draft = Draft { scenario, seed, heals_ms, faults: Vec::new() };
    let starts_ms = draft.starts();
    draft.network();
    let spared = draft.liars();
    draft.crashes();
    draft.losses(&spared);
    draft.people();
    draft.clocks();
    draft.slowness();
    draft.splits();
    Plan { heals_ms, starts_ms, faults: draft.faults }
}

/// A plan in the making.
struct Draft<'a> {
    scenario: &'a Scenario,
    seed: &'a Seed,
    heals_ms: u64,
    faults: Vec<Fault>,
}

impl Draft<'_> {
    fn rng(&self, of: &str) -> ChaCha8Rng {
        self.seed.child(&format!("faults {of}")).rng()
    }

    fn cast(&self) -> Cast {
        self.scenario.cast
    }

    fn trouble(&self) -> Trouble {
        self.scenario.trouble
    }

    /// Stewards, and trainers who are there from the beginning.
    fn residents(&self) -> usize {
        self.cast().stewards + self.cast().trainers
    }

    /// Stewards that may fail for good or lie: fewer than a third.
    fn faulty_max(&self) -> usize {
        (self.cast().stewards - 1) / 3
    }

    fn add(&mut self, from_ms: u64, until_ms: u64, wrong: Wrong) {
        let index = self.faults.len() as u32;
        self.faults.push(Fault { index, from_ms, until_ms, wrong });
    }

    fn at(&mut self, at_ms: u64, wrong: Wrong) {
        self.add(at_ms, at_ms, wrong);
    }

    fn starts(&self) -> Vec<u64> {
        let mut rng = self.rng("starts");
        // On a mesh the onlookers are who passes things on: they are there from the beginning.
        let early = if self.scenario.mesh.is_some() { usize::MAX } else { self.residents() };
        let mut start = |node| match node < early {
            true => rng.random_range(0..400),
            false => rng.random_range(1_000..self.heals_ms.max(1_001)),
        };
        (0..self.cast().nodes()).map(&mut start).collect()
    }

    fn network(&mut self) {
        let mut rng = self.rng("network");
        if !self.trouble().network || rng.random_bool(0.1) {
            return;
        }
        let heals_ms = self.heals_ms;
        self.add(0, heals_ms, Wrong::Loss { milli: rng.random_range(0..350) });
        self.add(0, heals_ms, Wrong::Doubling { milli: rng.random_range(0..150) });
        let (milli, ms) = (rng.random_range(0..200), rng.random_range(100..1_500));
        self.add(0, heals_ms, Wrong::Lag { milli, ms });
    }

    /// Draws who lies, and how. Says which stewards are liars.
    fn liars(&mut self) -> Vec<usize> {
        let mut rng = self.rng("liars");
        let (cast, trouble) = (self.cast(), self.trouble());
        let stewards: Vec<usize> = (0..cast.stewards).collect();
        if self.scenario.defect == Some(Defect::TooManyLiars) {
            // As many of two faces as it takes for two quorums.
            let liars = pick(&mut rng, &stewards, cast.stewards.div_ceil(2));
            for node in &liars {
                self.at(0, Wrong::Lies { node: *node, lie: Lie::TwoFaces });
            }
            return liars;
        }
        let stewards_max = trouble.liars.0.min(self.faulty_max());
        let count = rng.random_range(0..=stewards_max);
        let voting = pick(&mut rng, &stewards, count);
        let trainers: Vec<usize> = (cast.stewards..self.residents()).collect();
        let count = rng.random_range(0..=trouble.liars.1.min(trainers.len()));
        let training = pick(&mut rng, &trainers, count);
        let of_stewards = voting.iter().map(|node| (*node, &Lie::OF_STEWARDS[..]));
        let of_trainers = training.iter().map(|node| (*node, &Lie::OF_TRAINERS[..]));
        for (node, own) in of_stewards.chain(of_trainers) {
            let known = [own, &Lie::OF_ALL[..]].concat();
            let count = rng.random_range(1..=LIES_MAX);
            let mut lies = pick(&mut rng, &known, count);
            if self.scenario.size.slices > 1 && rng.random_bool(0.6) {
                lies.push(Lie::OF_SLICES[usize::from(node < cast.stewards)]);
            }
            lies.sort();
            for lie in lies {
                self.at(0, Wrong::Lies { node, lie });
            }
        }
        if trouble.liars.1 > 0 && rng.random_bool(0.2) {
            // One of the liars, if there are any: what others send is enough for a round.
            let among = if training.is_empty() { &trainers } else { &training };
            let node = among[rng.random_range(0..among.len())];
            self.at(0, Wrong::Uninvited { node });
        }
        voting
    }

    fn crashes(&mut self) {
        let mut rng = self.rng("crashes");
        let residents = self.residents();
        for _ in 0..rng.random_range(0..=self.trouble().crashes_max) {
            let node = rng.random_range(0..residents);
            let at_ms = rng.random_range(100..self.heals_ms);
            let effects = rng.random_range(0..30);
            let (nth, kept) = (rng.random_range(1..60), rng.random_bool(0.5));
            self.at(
                at_ms,
                match rng.random_range(0..10) {
                    0..3 => Wrong::Crash { node },
                    3..7 => Wrong::Fuse { node, effects },
                    _ => Wrong::AtPersist { node, nth, kept },
                },
            );
        }
    }

    /// A steward that is lost, if one more may fail than those who lie.
    fn losses(&mut self, liars: &[usize]) {
        let mut rng = self.rng("losses");
        let lost = self.trouble().crashes_max > 0 && rng.random_bool(0.4);
        if liars.len() >= self.faulty_max() || !lost {
            return;
        }
        let honest: Vec<usize> =
            (0..self.cast().stewards).filter(|node| !liars.contains(node)).collect();
        let node = honest[rng.random_range(0..honest.len())];
        self.at(rng.random_range(500..self.heals_ms), Wrong::Destroy { node });
    }

    fn people(&mut self) {
        let mut rng = self.rng("people");
        let (first, end) = (self.cast().stewards, self.residents());
        if self.trouble().clocks && rng.random_bool(0.25) {
            let node = rng.random_range(first..end);
            let from_ms = rng.random_range(500..self.heals_ms);
            let until_ms = rng.random_range(from_ms..self.heals_ms + 1);
            self.add(from_ms, until_ms, Wrong::Leave { node });
        }
        for _ in 0..rng.random_range(0..=self.trouble().denies_max) {
            let contributor = rng.random_range(0..CONTRIBUTORS);
            self.at(rng.random_range(0..self.heals_ms), Wrong::Deny { contributor });
        }
    }

    fn clocks(&mut self) {
        if !self.trouble().clocks {
            return;
        }
        let mut rng = self.rng("clocks");
        for node in 0..self.cast().nodes() {
            if rng.random_bool(0.3) {
                let ppm = rng.random_range(-DRIFT_MAX_PPM..=DRIFT_MAX_PPM);
                self.at(0, Wrong::Drift { node, ppm });
            }
            if rng.random_bool(0.2) {
                let by_ms = rng.random_range(-JUMP_MAX_MS..=JUMP_MAX_MS);
                self.at(rng.random_range(0..self.heals_ms), Wrong::DayJump { node, by_ms });
            }
        }
    }

    fn slowness(&mut self) {
        if !self.trouble().clocks {
            return;
        }
        let mut rng = self.rng("slowness");
        for _ in 0..rng.random_range(0..4) {
            let node = rng.random_range(0..self.residents());
            let from_ms = rng.random_range(0..self.heals_ms);
            let until_ms = (from_ms + rng.random_range(500..8_000)).min(self.heals_ms);
            let wrong = match rng.random_bool(0.5) {
                true => Wrong::SlowWork { node, times: rng.random_range(5..60) },
                false => Wrong::SlowDisk { node, ms: rng.random_range(50..800) },
            };
            self.add(from_ms, until_ms, wrong);
        }
    }

    fn splits(&mut self) {
        let mut rng = self.rng("splits");
        let (stewards, nodes) = (self.cast().stewards, self.cast().nodes());
        let mut from_ms = rng.random_range(500..8_000);
        for _ in 0..self.trouble().splits_max {
            if from_ms >= self.heals_ms {
                return;
            }
            let until_ms = (from_ms + rng.random_range(300..4_000)).min(self.heals_ms);
            self.add(from_ms, until_ms, Wrong::Split(Cut::draw(&mut rng, stewards, nodes)));
            from_ms = until_ms + rng.random_range(500..8_000);
        }
    }
}
