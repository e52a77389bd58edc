//! What a simulated run comes to: a report, or the rule that was broken and the way there.
//!
//! Invariants: a failure names everything that is needed to see it again.
//! What it is not: printed here.

use std::collections::BTreeSet;
use std::fmt;

use super::counts::Counts;
use super::plan::Fault;
use super::scenario::Defect;

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
    /// Nobody reports on what it was not drawn to look at.
    Asked,
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

/// Which run of a scenario: a seed, without some of its faults, and shorter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Case {
    /// The seed.
    pub seed: u64,
    /// Faults that are left out, by index.
    pub without: BTreeSet<u32>,
    /// The most rounds, if it is shorter than the seed says.
    pub rounds: Option<u64>,
}

impl Case {
    /// All that the seed says.
    pub fn of(seed: u64) -> Self {
        Self { seed, ..Self::default() }
    }
}

/// As the program `accord-sim` takes it.
impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "--seed {}", self.seed)?;
        if !self.without.is_empty() {
            let indices: Vec<String> = self.without.iter().map(u32::to_string).collect();
            write!(f, " --without {}", indices.join(","))?;
        }
        self.rounds.iter().try_for_each(|rounds| write!(f, " --rounds {rounds}"))
    }
}

/// A run that broke a rule.
#[derive(Debug, Clone)]
pub struct Failure {
    /// The scenario's name.
    pub scenario: &'static str,
    /// The mistake planted in it, if there is one.
    pub defect: Option<Defect>,
    /// The seed, and what was left out.
    pub case: Case,
    /// The event's number, from 1.
    pub event: u64,
    /// What was broken.
    pub violation: Violation,
    /// What went wrong in it.
    pub faults: Vec<Fault>,
    /// The last lines of the trace.
    pub tail: Vec<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { scenario, case, event, violation, faults, tail, .. } = self;
        writeln!(f, "{scenario}, seed {} broke a rule at event {event}", case.seed)?;
        writeln!(f, "  {violation}")?;
        for fault in faults {
            writeln!(f, "  {fault}")?;
        }
        for line in tail {
            writeln!(f, "  | {line}")?;
        }
        write!(f, "  replay: {}", self.replay())
    }
}

impl Failure {
    /// The command that shows it again, event by event.
    pub fn replay(&self) -> String {
        let Self { scenario, case, .. } = self;
        let program = "cargo run --release -p tests --bin accord-sim --";
        let plant = self.defect.map_or_else(String::new, |defect| format!(" --plant {defect:?}"));
        format!("{program} --scenario {scenario}{plant} {case} --step")
    }
}

/// What happened in a run that broke none: evidence that the seeds reach what they are for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Events handled.
    pub events: u64,
    /// Simulated milliseconds until everyone had the last model.
    pub ended_ms: u64,
    /// Simulated milliseconds of all runs together.
    pub simulated_ms: u64,
    /// The part after all faults had stopped.
    pub recovery_ms: u64,
    /// Rounds certified.
    pub rounds: u64,
    /// The highest attempt at agreement that anyone voted in.
    pub attempt_max: u64,
    /// What else happened how often.
    pub counts: Counts,
}

impl Report {
    /// Both together; of times and attempts the larger.
    pub fn join(&self, other: &Self) -> Self {
        Self {
            events: self.events + other.events,
            ended_ms: self.ended_ms.max(other.ended_ms),
            simulated_ms: self.simulated_ms + other.simulated_ms,
            recovery_ms: self.recovery_ms.max(other.recovery_ms),
            rounds: self.rounds + other.rounds,
            attempt_max: self.attempt_max.max(other.attempt_max),
            counts: self.counts.clone().join(&other.counts),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { events, ended_ms, simulated_ms, recovery_ms, rounds, attempt_max, counts } =
            self;
        writeln!(f, "{events} events, {rounds} rounds, {} s simulated", simulated_ms / 1_000)?;
        write!(
            f,
            "longest {ended_ms} ms, {recovery_ms} ms after healing; highest attempt {attempt_max}"
        )?;
        counts.iter().try_for_each(|(what, times)| write!(f, "\n  {times:>9} {what}"))
    }
}
