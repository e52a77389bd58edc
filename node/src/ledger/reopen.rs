//! Opting in: what an identity refused before is taken back first, and what holds in spite of that is
//! named.
//!
//! Invariants: one signature after another as in `own`; what stays refused is said again before
//! anything is taken back; nothing is taken back that would find no room to be said again. What it
//! is not: the choice of what to take back (see `consent::reopening`).

use std::collections::{BTreeMap, BTreeSet};

use consent::{Payload, Reopener, Reopening, Statement, Subject, Use, head_at};
use protocol::{ContentId, PublicKey, RecordId};

use super::book::{Inner, LedgerBook};
use super::own::{Giving, Made, Own, OwnError};
use crate::identity::Speaker;

/// What an opt-in came to.
#[derive(Debug)]
pub(crate) struct OptedIn {
    /// The new records.
    pub(crate) made: Made,
    /// The statements of before that they take back.
    pub(crate) lifted: Vec<RecordId>,
}

/// A statement of whoever opted in that refuses some of the works as parts of a collection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Holding {
    /// Its record.
    pub(crate) record: RecordId,
    /// How many works it names.
    pub(crate) works: u64,
    /// How many of those opted in are among them.
    pub(crate) held: u64,
}

impl LedgerBook {
    /// Registers what `allow` says of the contents among `subjects`. What was restricted of all these
    /// subjects, by this identity in the same name or by others in its own, is taken back first.
    pub(crate) fn opt_in(
        &self,
        who: &Speaker,
        subjects: &BTreeSet<Subject>,
        allow: &Statement,
        behalf: Option<PublicKey>,
        now_ms: u64,
    ) -> Result<OptedIn, OwnError> {
        let uses: Vec<Use> = allow.rules.iter().map(|(about, _)| *about).collect();
        let mut lifted = Vec::new();
        let made = self.speak(who, Giving::Daily, |own| {
            let allows = allow.over(subjects.iter().filter_map(Subject::content));
            let allows = own.in_the_name_of(behalf, &allows, now_ms)?;
            let by = Reopener { author: own.identity.author(), behalf };
            let reopening = own.inner.reopening(by, subjects, &uses)?;
            if !reopening.lifted.is_empty() {
                own.inner.check_giving(who, Giving::Root)?;
            }
            own.check_room(&reopening)?;
            lifted.clone_from(&reopening.lifted);
            let mut records = own.identity.statements(&own.head, &reopening.restated)?;
            let head = records.last().map_or(own.head, head_at);
            records.extend(own.identity.lifts(&head, reopening.lifted)?);
            let head = records.last().map_or(own.head, head_at);
            records.extend(own.identity.statements(&head, &allows)?);
            Ok(records)
        })?;
        Ok(OptedIn { made, lifted })
    }

    /// What `by` said of collections that still restricts some of these works.
    pub(crate) fn holdings(
        &self,
        by: Reopener,
        works: &BTreeSet<ContentId>,
        uses: &[Use],
    ) -> Result<Vec<Holding>, OwnError> {
        let inner = self.lock();
        let mut holdings = Vec::new();
        for (record, held) in inner.ledger.restricting_collections(by, works, uses) {
            if let (_, Payload::Statement(statement)) = inner.payload(&record)? {
                let counts = statement.subjects.iter().map(|subject| match subject {
                    Subject::Collection(collection) => collection.count,
                    _ => 0,
                });
                holdings.push(Holding { record, works: counts.fold(0, u64::saturating_add), held });
            }
        }
        Ok(holdings)
    }
}

impl Own<'_> {
    /// A refusal by likeness that is said again beyond the bounds would find nothing.
    fn check_room(&self, reopening: &Reopening) -> Result<(), OwnError> {
        match self.ledger().has_room(&self.head.feed, &reopening.restated) {
            true => Ok(()),
            false => Err(OwnError::Refused(
                "what these records refuse of other works would have to be said again, and so many \
                 likenesses of one feed or text do not count: opt in together what was opted out \
                 together"
                    .into(),
            )),
        }
    }
}

impl Inner {
    fn reopening(
        &self,
        by: Reopener,
        subjects: &BTreeSet<Subject>,
        uses: &[Use],
    ) -> Result<Reopening, OwnError> {
        let mut statements = BTreeMap::new();
        for restriction in self.ledger.restricting(by, subjects, uses) {
            if let (_, Payload::Statement(statement)) = self.payload(&restriction.record)? {
                statements.insert(restriction, statement);
            }
        }
        Ok(Reopening::of(by, &statements, subjects, uses))
    }
}
