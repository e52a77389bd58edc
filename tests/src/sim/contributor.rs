//! People who refuse: each signs a feed of statements over its own works.
//!
//! Invariants: a contributor never forks its feed; what it signed reaches at least one node, whose
//! disk keeps it. What it is not: a node. It has no ledger and hears nothing.

use consent::{Identity, Record, Statement, Use, head_at};
use protocol::{ContentId, Signed};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::facts::Facts;
use super::library::Library;
use super::seed::pick;

/// One contributor.
#[derive(Debug)]
pub(super) struct Contributor {
    identity: Identity,
    /// Its feed so far.
    records: Vec<Signed<Record>>,
    works: Vec<ContentId>,
    rng: ChaCha8Rng,
}

impl Contributor {
    pub(super) fn new(index: usize, facts: &Facts) -> Self {
        let seed = facts.seed.child(&format!("contributor {index}"));
        let identity = Identity::new(seed.child("daily").key(), seed.child("root").key(), 0);
        let (works, records) = (facts.works[index].clone(), Vec::new());
        Self { identity, records, works, rng: seed.rng() }
    }

    /// Refuses training on a few of its works. Returns its whole feed, to be handed to some node
    /// that may not have seen it before.
    pub(super) fn deny(&mut self, library: &mut Library) -> Vec<Signed<Record>> {
        if self.records.is_empty() {
            self.records.push(self.identity.genesis(0).expect("two keys that differ"));
        }
        let count = self.rng.random_range(1..=4);
        let works = pick(&mut self.rng, &self.works, count);
        for statement in Statement::deny(&Use::TRAINING).over(works.iter().copied()) {
            let head = head_at(self.records.last().expect("a genesis at least"));
            let record = self.identity.statement(&head, &statement).expect("a few works fit");
            for work in &works {
                library.denied(*work, self.identity.feed(), record.value().seq);
            }
            self.records.push(record);
        }
        self.records.clone()
    }
}
