//! What a simulated run comes to: a report, or the rule that was broken and the way there.
//!
//! Invariants: a failure names everything that is needed to see it again.
//! What it is not: printed here.

use std::fmt;

/// What the checker holds every run to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// R1: one certified record a round, over all nodes and for ever, and no node leaves one out.
    OneRecord,
    /// R2: no trainer counts twice in a round.
    TrainerOnce,
    /// R3: nobody signs two different things for one place.
    SignedOnce,
    /// R4: what is sent is durable first: a crash right after would say it again.
    DurableFirst,
    /// R4: a certified record recomputes to the same roots.
    Recomputes,
    /// R5: with the network healed and everyone up, the run ends.
    Ends,
    /// R6: everything that waits is bounded.
    Bounded,
    /// R7: the journal gives back the state.
    Restores,
    /// What is sent opens again from its bytes as the same.
    Opens,
    /// No update counts that used a work after a refusal which its round had to know.
    Consent,
}

/// A broken rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Which one.
    pub rule: Rule,
    /// How.
    pub what: String,
}

impl Violation {
    pub(super) fn new(rule: Rule, what: impl Into<String>) -> Self {
        Self { rule, what: what.into() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.rule, self.what)
    }
}

/// A run that broke a rule.
#[derive(Debug, Clone)]
pub struct Failure {
    /// The scenario's name.
    pub scenario: &'static str,
    /// The seed.
    pub seed: u64,
    /// The event's number, from 1.
    pub event: u64,
    /// What was broken.
    pub violation: Violation,
    /// The last lines of the trace.
    pub tail: Vec<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { scenario, seed, event, violation, tail } = self;
        writeln!(f, "{scenario}, seed {seed} broke a rule at event {event}")?;
        writeln!(f, "  {violation}")?;
        for line in tail {
            writeln!(f, "  | {line}")?;
        }
        write!(
            f,
            "  replay: ACCORD_SIM_SCENARIO={scenario} ACCORD_SIM_SEED={seed} \
             cargo test --release -p tests --test sim -- replay --nocapture"
        )
    }
}

/// What happened in a run that broke none: evidence that the seeds reach what they are for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Report {
    /// Events handled.
    pub events: u64,
    /// Simulated milliseconds until everyone had the last model.
    pub ended_ms: u64,
    /// The part of them after all faults had stopped.
    pub recovery_ms: u64,
    /// Packets lost, to chance and to splits.
    pub lost: u64,
    /// Packets delivered twice.
    pub doubled: u64,
    /// Crashes.
    pub crashes: u64,
    /// Journal entries that crashes took.
    pub torn: u64,
    /// Rounds certified.
    pub rounds: u64,
    /// The highest attempt at agreement that anyone voted in.
    pub attempt_max: u64,
    /// Updates certified as rejected.
    pub rejected: u64,
    /// Samples that gates refused.
    pub refused: u64,
}

impl Report {
    /// Both together; of times and attempts the larger.
    pub fn join(&self, other: &Self) -> Self {
        Self {
            events: self.events + other.events,
            ended_ms: self.ended_ms.max(other.ended_ms),
            recovery_ms: self.recovery_ms.max(other.recovery_ms),
            lost: self.lost + other.lost,
            doubled: self.doubled + other.doubled,
            crashes: self.crashes + other.crashes,
            torn: self.torn + other.torn,
            rounds: self.rounds + other.rounds,
            attempt_max: self.attempt_max.max(other.attempt_max),
            rejected: self.rejected + other.rejected,
            refused: self.refused + other.refused,
        }
    }
}
