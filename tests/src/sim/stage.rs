//! A run that exists outside, simulated again: its specification, keys, model and training are given, not
//! drawn.
//!
//! Invariants: the same `Round`, checks and aggregate as in every simulation; only what was made up is real.
//! What it is not: a second set of rules.

use std::fmt;

use consent::Policy;
use protocol::run::RunSpec;
use protocol::weights::Weights;
use protocol::{ContentId, RoundId, SecretKey, Signed};

use super::facts::Facts;
use super::report::{Case, Failure};
use super::script::Script;
use super::seed::Seed;
use super::trace::Trail;
use super::world::World;

/// Makes a node's update: by its number, the round, and the round's base.
pub type Training = Box<dyn Fn(usize, u64, &Weights) -> Vec<u8> + Send + Sync>;

/// What is given of a run. All its nodes are stewards, and train.
pub struct Stage {
    /// The run.
    pub spec: Signed<RunSpec>,
    /// Its terms of consent.
    pub policy: Policy,
    /// Each node's key.
    pub keys: Vec<SecretKey>,
    /// The works that each trains on.
    pub held: Vec<Vec<ContentId>>,
    /// The starting model's canonical file.
    pub weights: Vec<u8>,
    /// How they train: the same again for the same node and round.
    pub training: Training,
}

impl fmt::Debug for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Stage of {} nodes", self.keys.len())
    }
}

/// Simulates the run while what the script says goes wrong; returns the ids of its certified records.
pub fn play(stage: Stage, script: &Script, seed: u64) -> Result<Vec<RoundId>, Box<Failure>> {
    let case = Case::of(seed);
    let facts = Facts::staged(script.scenario(), Seed::root(seed), script.plan(), stage);
    let mut world = World::of(facts, Trail::Quiet);
    match world.until_done() {
        Ok(()) => Ok(world.bus.checker.chain()),
        Err(violation) => Err(Box::new(world.failure(&case, violation))),
    }
}
