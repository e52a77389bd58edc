//! Reopening: how an author takes restrictions on some works back and keeps the others.
//!
//! A lift ends a statement whole, with all its works and rules. So what is to stay is stated again
//! first, and the old statements are lifted after.
//!
//! Invariants: between and after these steps nothing is open that was not asked for.
//! What it is not: an allow; after reopening a work nothing is said about it.

use std::collections::{BTreeMap, BTreeSet};

use protocol::{ContentId, PublicKey, RecordId};

use crate::hamming::Scratch;
use crate::ledger::{ClaimState, Ledger};
use crate::policy::Likeness;
use crate::statement::Statement;
use crate::subject::Subject;
use crate::use_atom::{Use, Value};
use crate::work::{Match, Work};

/// What to sign to reopen works, in this order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reopening {
    /// What stays, to be stated again first.
    pub restated: Vec<Statement>,
    /// The statements to be lifted then, sorted.
    pub lifted: Vec<RecordId>,
}

impl Ledger {
    /// The statements of `author` that hold one of `works` back from one of `uses`.
    pub fn restricting(
        &self,
        author: PublicKey,
        works: &BTreeSet<ContentId>,
        uses: &[Use],
    ) -> BTreeSet<RecordId> {
        let mut restricting = BTreeSet::new();
        let (likeness, mut scratch) = (Likeness::default(), Scratch::new());
        for work in works {
            self.find(&Work::from(*work), &likeness, &mut scratch, |slot, found| {
                let claims = uses.iter().filter_map(|about| self.claim(slot, *about, found));
                let held = claims.filter(|claim| {
                    claim.author == author
                        && claim.found == Match::Content
                        && claim.state == ClaimState::Live
                        && claim.value.restricts()
                });
                restricting.extend(held.map(|claim| claim.record));
            });
        }
        restricting
    }
}

impl Reopening {
    /// What must be signed so that none of these statements, which are all that
    /// [`Ledger::restricting`] named, holds `works` back from `uses` any more.
    pub fn of(
        statements: &BTreeMap<RecordId, Statement>,
        works: &BTreeSet<ContentId>,
        uses: &[Use],
    ) -> Self {
        let restated = statements.values().flat_map(|old| remainder(old, works, uses)).collect();
        Self { restated, lifted: statements.keys().copied().collect() }
    }
}

/// What of `old` stays when its restrictions on `works` for `uses` go.
fn remainder(old: &Statement, works: &BTreeSet<ContentId>, uses: &[Use]) -> Vec<Statement> {
    let reopened = |subject: &Subject| subject.content().is_some_and(|id| works.contains(&id));
    let (named, others): (Vec<Subject>, Vec<Subject>) =
        old.subjects.iter().cloned().partition(reopened);
    let mut fewer = old.clone();
    fewer.rules.retain(|(about, value)| !(value.restricts() && uses.contains(about)));
    if fewer.rules.iter().all(|(_, value)| *value != Value::Allow) {
        fewer.not_after_ms = None;
    }
    if fewer.rules.iter().all(|(_, value)| *value != Value::Constrained) {
        fewer.terms = None;
    }
    let mut restated = old.over_subjects(others);
    if !fewer.rules.is_empty() {
        restated.extend(fewer.over_subjects(named));
    }
    restated
}
