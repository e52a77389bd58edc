//! Reopening: how an author takes restrictions on some works back and keeps the others.
//!
//! A lift ends a statement whole, with all its works and rules. So what is to stay is stated again
//! first, and the old statements are lifted after.
//!
//! Invariants: between and after these steps nothing is open that was not asked for.
//! What it is not: an allow; after reopening a work nothing is said about it.

use std::collections::BTreeSet;

use protocol::{ContentId, PublicKey, RecordId};

use crate::claim::ClaimState;
use crate::ledger::Ledger;
use crate::payload::Payload;
use crate::statement::Statement;
use crate::subject::Subject;
use crate::use_atom::{Use, Value};

/// What to sign to reopen works, in this order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reopening {
    /// What stays, to be stated again first.
    pub restated: Vec<Statement>,
    /// The statements to be lifted then, sorted.
    pub lifted: Vec<RecordId>,
}

impl Ledger {
    /// What `author` must sign so that none of its own restrictions holds `works` back from `uses`
    /// any more. Empty if none does.
    pub fn reopening(
        &self,
        author: PublicKey,
        works: &BTreeSet<ContentId>,
        uses: &[Use],
    ) -> Reopening {
        let mut lifted = BTreeSet::new();
        for work in works {
            let restricting = self.claims(*work).filter(|claim| {
                claim.author == author
                    && claim.state == ClaimState::Live
                    && claim.value.restricts()
                    && uses.contains(&claim.about)
            });
            lifted.extend(restricting.map(|claim| claim.record));
        }
        let statements = lifted.iter().filter_map(|id| self.statement(id));
        let restated = statements.flat_map(|old| remainder(&old, works, uses)).collect();
        Reopening { restated, lifted: lifted.into_iter().collect() }
    }

    fn statement(&self, id: &RecordId) -> Option<Statement> {
        match self.record(id)?.value().payload() {
            Ok(Payload::Statement(statement)) => Some(statement),
            _ => None,
        }
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
    let mut restated = old.over_subjects(others);
    if !fewer.rules.is_empty() {
        restated.extend(fewer.over_subjects(named));
    }
    restated
}
