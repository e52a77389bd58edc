//! What happened how often: evidence that the seeds reach what they are for.
//!
//! Invariants: counting changes nothing else. What it is not: part of the trace.

use std::collections::BTreeMap;

/// How often each thing happened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts(BTreeMap<String, u64>);

impl Counts {
    /// It happened once more.
    pub(super) fn note(&mut self, what: &str) {
        self.add(what, 1);
    }

    /// It happened so many times more.
    pub(super) fn add(&mut self, what: &str, times: u64) {
        match self.0.get_mut(what) {
            Some(count) => *count += times,
            None if times == 0 => {}
            None => drop(self.0.insert(what.into(), times)),
        }
    }

    /// How often it happened.
    pub fn of(&self, what: &str) -> u64 {
        self.0.get(what).copied().unwrap_or(0)
    }

    /// Everything that happened, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        self.0.iter().map(|(what, times)| (what.as_str(), *times))
    }

    /// Both together.
    pub fn join(mut self, other: &Self) -> Self {
        for (what, times) in other.iter() {
            self.add(what, times);
        }
        self
    }
}
