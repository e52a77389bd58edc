//! What goes wrong, and when: drawn from the seed before the run starts.
//!
//! Invariants: nothing goes wrong after the healing; what was switched off is on again by then, but
//! for a steward that is lost, of which there are fewer than a third.
//! What it is not: loss and delay, which are the network's own.

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::event::{Act, Event, Queue};
use super::facts::{CONTRIBUTORS, Facts};

/// Plans everything, and says when the healing is.
pub(super) fn plan(facts: &Facts, queue: &mut Queue) -> u64 {
    let mut rng = facts.seed.child("faults").rng();
    let scenario = &facts.scenario;
    let heals_ms = rng.random_range(scenario.heals_ms.0..=scenario.heals_ms.1);
    let mut act = |at_ms: u64, act: Act| queue.push(at_ms, Event::Act(act));
    let cast = scenario.cast;
    let nodes = cast.nodes();
    let residents = cast.stewards + cast.trainers;
    for node in 0..nodes {
        let late = node >= residents;
        let at_ms = if late { rng.random_range(1_000..heals_ms) } else { rng.random_range(0..400) };
        act(at_ms, Act::Start(node));
    }
    for _ in 0..rng.random_range(0..=scenario.crashes_max) {
        let node = rng.random_range(0..residents);
        let at_ms = rng.random_range(100..heals_ms);
        let fuse = Act::Fuse { node, effects: rng.random_range(0..30) };
        act(at_ms, if rng.random_bool(0.4) { Act::Crash(node) } else { fuse });
    }
    // Fewer than a third of the stewards may fail for good, and a rogue is one of them.
    if cast.stewards >= 4 && !facts.rogue_votes() && rng.random_bool(0.3) {
        let node = rng.random_range(0..cast.stewards);
        act(rng.random_range(500..heals_ms), Act::Destroy(node));
    }
    if rng.random_bool(0.25) {
        let node = rng.random_range(cast.stewards..residents);
        let at_ms = rng.random_range(500..heals_ms);
        act(at_ms, Act::Switch { node, joined: false });
        act(rng.random_range(at_ms..heals_ms + 1), Act::Switch { node, joined: true });
    }
    for _ in 0..rng.random_range(0..=scenario.denies_max) {
        let at_ms = rng.random_range(0..heals_ms);
        act(at_ms, Act::Deny(rng.random_range(0..CONTRIBUTORS)));
    }
    for (from_ms, to_ms) in splits(&mut rng, heals_ms) {
        act(from_ms, Act::Split(rng.random_range(1..(1 << nodes) - 1)));
        act(to_ms, Act::Mend);
    }
    act(heals_ms, Act::Heal);
    heals_ms
}

/// Times during which the network is split.
fn splits(rng: &mut ChaCha8Rng, heals_ms: u64) -> Vec<(u64, u64)> {
    let mut splits = Vec::new();
    let mut from_ms = rng.random_range(500..8_000);
    while from_ms < heals_ms && splits.len() < 3 {
        let to_ms = (from_ms + rng.random_range(300..4_000)).min(heals_ms);
        splits.push((from_ms, to_ms));
        from_ms = to_ms + rng.random_range(500..8_000);
    }
    splits
}
