//! The gate: the one place that decides whether a work may be used.
//!
//! The effective value of a work for a use is the join (maximum) of all live claims. `deny` and
//! `constrained` refuse, as no agreement can match yet; `allow` permits; silence is the policy's.
//! An allow is live once it has cooled and until it ends.
//!
//! Invariants: pure and total: the same records, policy and time give the same answer, and there
//! is no error that permits. What it is not: a cache. It borrows the ledger, so no record comes in
//! between its answers.

use std::collections::BTreeSet;
use std::fmt;

use protocol::limits::DENIAL_RECORDS_MAX;
use protocol::{ContentId, FileHash, RecordId};

use crate::claim::{Claim, ClaimState};
use crate::ledger::Ledger;
use crate::permit::{Permit, Usage};
use crate::policy::{Policy, Silence};
use crate::use_atom::{Use, Value};

/// Why a work may not be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DenialReason {
    /// Somebody denied it; the records say who.
    Denied,
    /// Somebody allowed it under terms, and no agreement is known.
    Constrained,
    /// It was allowed, but every allow has ended, was lifted, is void, or still cools.
    AllowNotLive,
    /// Nobody spoke, and under this policy silence is no.
    Silent,
}

/// A refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    /// The work.
    pub work: ContentId,
    /// For which use it was asked.
    pub about: Use,
    /// Why.
    pub reason: DenialReason,
    /// The records behind the reason, sorted, the first few if there are many.
    pub records: Vec<RecordId>,
}

impl fmt::Display for DenialReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Denied => "denied",
            Self::Constrained => "allowed only under terms, and no agreement is known",
            Self::AllowNotLive => "allowed, but not now: the allow has ended, was lifted, or waits out the cooling time",
            Self::Silent => "nobody allowed it, and silence is no",
        })
    }
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} may not be used for {}: {}", self.work.short(), self.about, self.reason)?;
        match self.records.split_first() {
            None => Ok(()),
            Some((first, [])) => write!(f, " (record {})", first.short()),
            Some((first, rest)) => {
                write!(f, " (record {} and {} more)", first.short(), rest.len())
            }
        }
    }
}

/// A ledger, a policy and a moment, ready to decide.
#[derive(Debug)]
pub struct Gate<'a> {
    ledger: &'a Ledger,
    policy: &'a Policy,
    now_ms: u64,
    frontier: FileHash,
}

impl<'a> Gate<'a> {
    /// The gate over `ledger` under `policy` at `now_ms` (milliseconds since 1970, of the clock
    /// that also says when records are received).
    pub fn new(ledger: &'a Ledger, policy: &'a Policy, now_ms: u64) -> Self {
        Self { ledger, policy, now_ms, frontier: ledger.frontier().id() }
    }

    /// The id of the ledger's frontier, which every permit of this gate carries.
    pub fn frontier(&self) -> FileHash {
        self.frontier
    }

    /// Decides on one work.
    pub fn decide<U: Usage>(&self, work: ContentId) -> Result<Permit<U>, Denial> {
        self.check(work, U::USE)?;
        Ok(Permit::issue(work, self.frontier))
    }

    /// Decides on many works, in the order given.
    pub fn decide_many<U: Usage>(
        &self,
        works: impl IntoIterator<Item = ContentId>,
    ) -> (Vec<Permit<U>>, Vec<Denial>) {
        let (mut permits, mut denials) = (Vec::new(), Vec::new());
        for work in works {
            match self.decide(work) {
                Ok(permit) => permits.push(permit),
                Err(denial) => denials.push(denial),
            }
        }
        (permits, denials)
    }

    /// The answer without a permit: for telling people, not for using the work.
    pub fn check(&self, work: ContentId, about: Use) -> Result<(), Denial> {
        let value = self.value(work, about);
        let reason = match (value, self.policy.default) {
            (Value::Deny, _) => DenialReason::Denied,
            (Value::Constrained, _) => DenialReason::Constrained,
            (Value::Allow, _) | (Value::Unset, Silence::OptOut) => return Ok(()),
            (Value::Unset, Silence::OptIn) => {
                if self.claims(work, about).any(|claim| claim.value == Value::Allow) {
                    DenialReason::AllowNotLive
                } else {
                    DenialReason::Silent
                }
            }
        };
        let records = self.records(work, about, reason);
        Err(Denial { work, about, reason, records })
    }

    /// The join of all live claims.
    pub fn value(&self, work: ContentId, about: Use) -> Value {
        self.claims(work, about)
            .filter(|claim| self.is_live(claim))
            .fold(Value::Unset, |joined, claim| joined.join(claim.value))
    }

    fn claims(&self, work: ContentId, about: Use) -> impl Iterator<Item = Claim> {
        self.ledger.claims(work).filter(move |claim| claim.about == about)
    }

    fn is_live(&self, claim: &Claim) -> bool {
        if claim.state != ClaimState::Live || claim.value.restricts() {
            return claim.state == ClaimState::Live;
        }
        let from_ms = claim.received_ms.saturating_add(self.policy.cooling_ms);
        let until_ms = claim.received_ms.saturating_add(self.policy.allow_ms_max);
        let until_ms = claim.not_after_ms.map_or(0, |not_after_ms| not_after_ms.min(until_ms));
        (from_ms..until_ms).contains(&self.now_ms)
    }

    fn records(&self, work: ContentId, about: Use, reason: DenialReason) -> Vec<RecordId> {
        let behind = |claim: &Claim| match reason {
            DenialReason::Denied => claim.value == Value::Deny && self.is_live(claim),
            DenialReason::Constrained => claim.value == Value::Constrained && self.is_live(claim),
            DenialReason::AllowNotLive => claim.value == Value::Allow,
            DenialReason::Silent => false,
        };
        let sorted: BTreeSet<RecordId> =
            self.claims(work, about).filter(behind).map(|claim| claim.record).collect();
        sorted.into_iter().take(DENIAL_RECORDS_MAX).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::{Identity, head_at};
    use crate::permit::{Evaluate, TrainOther};
    use crate::record::record_id;
    use crate::statement::Statement;
    use protocol::SecretKey;

    const USE: Use = Use::TrainOther;

    fn work(n: u32) -> ContentId {
        ContentId::of(&n.to_le_bytes())
    }

    /// A ledger that received, at 0, this statement about work 1.
    fn ledger_with(statement: &Statement) -> (Ledger, RecordId) {
        let key = |seed| SecretKey::from_seed(&[seed; 32]);
        let me = Identity::new(key(1), key(2), 0);
        let genesis = me.genesis().expect("genesis");
        let statement = &statement.over([work(1)])[0];
        let record = me.statement(&head_at(&genesis), statement).expect("statement");
        let mut ledger = Ledger::new();
        let id = record_id(&record);
        for record in [genesis, record] {
            ledger.insert(record, 0).expect("new");
        }
        (ledger, id)
    }

    #[test]
    fn an_allow_cools_then_counts_then_ends() {
        let (ledger, id) = ledger_with(&Statement::allow(&[USE], 100));
        let policy = Policy { default: Silence::OptIn, cooling_ms: 10, allow_ms_max: 1_000 };
        let reason = |policy: &Policy, now_ms: u64| {
            let gate = Gate::new(&ledger, policy, now_ms);
            gate.decide::<TrainOther>(work(1)).map(Permit::spend).map_err(|d| d.reason)
        };
        assert_eq!(reason(&policy, 9), Err(DenialReason::AllowNotLive));
        assert_eq!(reason(&policy, 10), Ok(work(1)));
        assert_eq!(reason(&policy, 99), Ok(work(1)));
        assert_eq!(reason(&policy, 100), Err(DenialReason::AllowNotLive));
        assert_eq!(
            reason(&Policy { allow_ms_max: 50, ..policy }, 50),
            Err(DenialReason::AllowNotLive)
        );
        // Where silence is yes, an ended allow is silence.
        assert_eq!(reason(&Policy { default: Silence::OptOut, ..policy }, 100), Ok(work(1)));

        let gate = Gate::new(&ledger, &policy, 200);
        let denial = gate.check(work(1), USE).unwrap_err();
        assert_eq!(denial.records, [id]);
        assert_eq!(gate.check(work(2), USE).unwrap_err().reason, DenialReason::Silent);
        assert_eq!(gate.check(work(1), Use::Mine).unwrap_err().reason, DenialReason::Silent);
    }

    #[test]
    fn permits_and_denials_say_what_they_are_for() {
        let rules = vec![(USE, Value::Constrained)];
        let (ledger, id) = ledger_with(&Statement { rules, ..Statement::deny(&[USE]) });
        let open = Policy { default: Silence::OptOut, ..Policy::default() };
        let gate = Gate::new(&ledger, &open, 0);
        let (permits, denials) = gate.decide_many::<TrainOther>([work(1), work(2)]);
        assert_eq!(permits.len(), 1);
        assert_eq!((permits[0].work(), permits[0].frontier()), (work(2), ledger.frontier().id()));
        assert_eq!(
            (denials[0].reason, &denials[0].records),
            (DenialReason::Constrained, &vec![id])
        );
        assert_eq!(
            denials[0].to_string(),
            format!(
                "{} may not be used for train-other: allowed only under terms, and no agreement is \
                 known (record {})",
                work(1).short(),
                id.short()
            )
        );
        assert!(gate.decide::<Evaluate>(work(1)).is_ok());
        assert_eq!(gate.value(work(1), USE), Value::Constrained);
    }
}
