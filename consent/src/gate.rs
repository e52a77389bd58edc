//! The gate: the one place that decides whether a work may be used.
//!
//! The effective value of a work for a use is the join (maximum) of all live claims. `deny` and
//! `constrained` refuse, as no agreement can match yet; `allow` permits; silence is the policy's.
//! An allow is live once it has cooled, until it ends, if its speaker has the standing that the
//! policy asks for; one in dispute refuses until a witness of the policy speaks for it or its author
//! lifts it.
//!
//! A claim by likeness may be chance or malice. It refuses like any other, but for two cases: where
//! a witness of the policy speaks for an allow that names the very bytes and not for the claim; and
//! where, in one data set, it would refuse more works than the policy's reach.
//!
//! Invariants: pure and total: the same records, policy and time give the same answer, and there
//! is no error that permits. What it is not: a cache. It borrows the ledger, so no record comes in
//! between its answers.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use protocol::limits::DENIAL_RECORDS_MAX;
use protocol::{ContentId, FileHash, RecordId};

use crate::denial::{Denial, DenialReason};
use crate::hamming::Scratch;
use crate::ledger::{Claim, ClaimState, Ledger};
use crate::permit::{Permit, Usage};
use crate::policy::{Likeness, Policy, Silence};
use crate::standing::Standing;
use crate::use_atom::{Use, Value};
use crate::work::{Match, Work};

/// How many works are looked at together, of many.
const TOGETHER: usize = 32;

/// A ledger, a policy and a moment, ready to decide.
#[derive(Debug)]
pub struct Gate<'a> {
    ledger: &'a Ledger,
    policy: &'a Policy,
    now_ms: u64,
    frontier: FileHash,
    scratch: RefCell<Scratch>,
    /// Room for the claims about one work.
    counted: RefCell<Vec<Counted>>,
}

/// A claim, with what it amounts to under this policy at this moment.
#[derive(Debug, Clone, Copy)]
struct Counted {
    claim: Claim,
    effective: Value,
}

/// Claims of likeness that a data set made look like malice or chance.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SetAside(BTreeSet<RecordId>);

/// Which works of a data set each claim of likeness would refuse, one more than the reach at most.
///
/// Works are told apart by half of their id: whoever makes two of one half only makes a claim reach
/// less far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reach(BTreeMap<RecordId, BTreeSet<u128>>);

impl Reach {
    /// Adds what was counted of another piece of the data set.
    pub fn merge(&mut self, other: Self, likeness: &Likeness) {
        for (record, works) in other.0 {
            let reached = self.0.entry(record).or_default();
            let room = (likeness.reach_max as usize + 1).saturating_sub(reached.len());
            let news: Vec<u128> = works.difference(reached).take(room).copied().collect();
            reached.extend(news);
        }
    }

    /// The claims that reach too far.
    pub fn beyond(&self, likeness: &Likeness) -> SetAside {
        let reach_max = likeness.reach_max as usize;
        let far = self.0.iter().filter(|(_, reached)| reached.len() > reach_max);
        SetAside(far.map(|(record, _)| *record).collect())
    }
}

impl SetAside {
    /// The statements set aside.
    pub fn records(&self) -> impl Iterator<Item = &RecordId> {
        self.0.iter()
    }
}

impl<'a> Gate<'a> {
    /// The gate over `ledger` under `policy` at `now_ms` (milliseconds since 1970, of the clock
    /// that also says when records are received).
    pub fn new(ledger: &'a Ledger, policy: &'a Policy, now_ms: u64) -> Self {
        let (scratch, counted) = (RefCell::new(Scratch::new()), RefCell::default());
        Self { ledger, policy, now_ms, frontier: ledger.frontier_id(), scratch, counted }
    }

    /// The id of the ledger's frontier, which every permit of this gate carries.
    pub fn frontier(&self) -> FileHash {
        self.frontier
    }

    /// Decides on one work of which nothing but the bytes is known.
    pub fn decide<U: Usage>(&self, work: ContentId) -> Result<Permit<U>, Denial> {
        self.decide_work(&Work::from(work), &SetAside::default())
    }

    /// Decides on one work of a data set of which [`Gate::set_aside`] told.
    pub fn decide_work<U: Usage>(
        &self,
        work: &Work,
        aside: &SetAside,
    ) -> Result<Permit<U>, Denial> {
        self.check(work, U::USE, aside)?;
        Ok(Permit::issue(work.content, self.frontier))
    }

    /// Decides on many works of which nothing but the bytes is known, in the order given.
    pub fn decide_many<U: Usage>(
        &self,
        works: impl IntoIterator<Item = ContentId>,
    ) -> (Vec<Permit<U>>, Vec<Denial>) {
        let (mut permits, mut denials) = (Vec::new(), Vec::new());
        let mut works = works.into_iter();
        loop {
            let some: Vec<ContentId> = works.by_ref().take(TOGETHER).collect();
            if some.is_empty() {
                return (permits, denials);
            }
            self.look_ahead(&some);
            for work in some {
                match self.decide(work) {
                    Ok(permit) => permits.push(permit),
                    Err(denial) => denials.push(denial),
                }
            }
        }
    }

    /// Has what is known of these works' exact bytes near. Whoever asks about many works asks for
    /// some tens of them at a time; it changes no answer.
    pub fn look_ahead(&self, works: &[ContentId]) {
        self.ledger.look_ahead(works);
    }

    /// The claims of likeness that would refuse more of these works than the policy's reach, and
    /// for which no witness speaks.
    pub fn set_aside<'w>(&self, works: impl IntoIterator<Item = &'w Work>, about: Use) -> SetAside {
        let mut reach = Reach::default();
        self.count_reach(works, about, &mut reach);
        reach.beyond(&self.policy.likeness)
    }

    /// Counts into `reach` what claims of likeness would refuse of these works: a data set that is
    /// too large for [`Gate::set_aside`] is counted piece by piece, by gates of one policy. Returns
    /// whether there is any claim of likeness about them, whatever it says.
    pub fn count_reach<'w>(
        &self,
        works: impl IntoIterator<Item = &'w Work>,
        about: Use,
        reach: &mut Reach,
    ) -> bool {
        let reach_max = self.policy.likeness.reach_max as usize;
        let mut alike = false;
        for work in works.into_iter().filter(|work| work.marks.is_some()) {
            self.each_claim(work, about, |claim| {
                alike |= claim.found.is_likeness();
                if claim.found.is_likeness() && self.effective(&claim).restricts() {
                    let reached = reach.0.entry(claim.record).or_default();
                    if reached.len() <= reach_max && self.standing(&claim) < Standing::Registrar {
                        reached.insert(half(&work.content));
                    }
                }
            });
        }
        alike
    }

    /// The answer without a permit: for telling people, not for using the work.
    pub fn check(&self, work: &Work, about: Use, aside: &SetAside) -> Result<(), Denial> {
        let mut counted = self.counted.borrow_mut();
        counted.clear();
        self.count(work, about, aside, &mut counted);
        let value = joined(&counted);
        let reason = match (value, self.policy.default) {
            (Value::Deny, _) => DenialReason::Denied,
            (Value::Constrained, _) => DenialReason::Constrained,
            (Value::Allow, _) | (Value::Unset, Silence::OptOut) => return Ok(()),
            (Value::Unset, Silence::OptIn) => {
                if counted.iter().any(|counted| counted.claim.value == Value::Allow) {
                    DenialReason::AllowNotLive
                } else {
                    DenialReason::Silent
                }
            }
        };
        Err(denial(work.content, about, reason, &counted))
    }

    /// The join of all live claims.
    pub fn value(&self, work: &Work, about: Use, aside: &SetAside) -> Value {
        let mut counted = Vec::new();
        self.count(work, about, aside, &mut counted);
        joined(&counted)
    }

    /// Every claim about a work for one use, ended ones included, in no particular order.
    pub fn claims(&self, work: &Work, about: Use) -> Vec<Claim> {
        let mut claims: Vec<Claim> = Vec::new();
        self.each_claim(work, about, |claim| claims.push(claim));
        claims
    }

    fn each_claim(&self, work: &Work, about: Use, mut visit: impl FnMut(Claim)) {
        let mut scratch = self.scratch.borrow_mut();
        self.ledger.find(work, &self.policy.likeness, &mut scratch, |slot, found| {
            if let Some(claim) = self.ledger.claim(slot, about, found) {
                visit(claim);
            }
        });
    }

    /// Every claim with what it amounts to here and now.
    fn count(&self, work: &Work, about: Use, aside: &SetAside, counted: &mut Vec<Counted>) {
        let vouched = work.marks.is_some() && self.is_vouched(work.content, about);
        self.each_claim(work, about, |claim| {
            let weak = claim.found.is_likeness()
                && (aside.0.contains(&claim.record)
                    || vouched && self.standing(&claim) < Standing::Registrar);
            let effective = if weak { Value::Unset } else { self.effective(&claim) };
            counted.push(Counted { claim, effective });
        });
    }

    /// Whether a witness speaks for an allow of these very bytes.
    fn is_vouched(&self, content: ContentId, about: Use) -> bool {
        let mut vouched = false;
        self.each_claim(&Work::from(content), about, |claim| {
            vouched |= claim.value == Value::Allow
                && claim.found == Match::Content
                && self.is_live(&claim)
                && self.standing(&claim) >= Standing::Registrar;
        });
        vouched
    }

    fn standing(&self, claim: &Claim) -> Standing {
        self.ledger.standing_of(claim, &self.policy.witnesses)
    }

    /// What a claim amounts to by itself.
    fn effective(&self, claim: &Claim) -> Value {
        if claim.found == Match::Place && self.standing(claim) < self.policy.place_standing {
            return Value::Unset;
        }
        match claim.value {
            // Until its author lifts it, even when it has ended or is void: a fork by a thief must
            // not end what the doubt refuses.
            Value::Allow if claim.state != ClaimState::Lifted && self.is_doubted(claim) => {
                Value::Deny
            }
            value if self.is_live(claim) => value,
            _ => Value::Unset,
        }
    }

    /// Whether somebody doubts an allow, and no witness speaks for it.
    fn is_doubted(&self, claim: &Claim) -> bool {
        self.ledger.is_doubted(claim) && self.standing(claim) < Standing::Registrar
    }

    fn is_live(&self, claim: &Claim) -> bool {
        if claim.state != ClaimState::Live || claim.value.restricts() {
            return claim.state == ClaimState::Live;
        }
        let from_ms = claim.received_ms.saturating_add(self.policy.cooling_ms);
        let until_ms = claim.received_ms.saturating_add(self.policy.allow_ms_max);
        let until_ms = claim.not_after_ms.map_or(0, |not_after_ms| not_after_ms.min(until_ms));
        let needed = self.policy.allow_standing;
        (from_ms..until_ms).contains(&self.now_ms)
            && (needed == Standing::SelfAsserted || self.standing(claim) >= needed)
    }
}

fn half(content: &ContentId) -> u128 {
    let (halves, _) = content.as_bytes().as_chunks::<16>();
    u128::from_be_bytes(halves[0])
}

fn joined(counted: &[Counted]) -> Value {
    counted.iter().fold(Value::Unset, |joined, counted| joined.join(counted.effective))
}

fn denial(work: ContentId, about: Use, reason: DenialReason, counted: &[Counted]) -> Denial {
    let is_behind = |counted: &&Counted| match reason {
        DenialReason::Denied => counted.effective == Value::Deny,
        DenialReason::Constrained => counted.effective == Value::Constrained,
        DenialReason::AllowNotLive => counted.claim.value == Value::Allow,
        DenialReason::Silent => false,
    };
    let behind = || counted.iter().filter(is_behind).map(|counted| counted.claim);
    let found = behind().map(|claim| claim.found).reduce(Match::nearer);
    let mut records: Vec<RecordId> = behind().map(|claim| claim.record).collect();
    records.sort_unstable();
    records.dedup();
    records.truncate(DENIAL_RECORDS_MAX);
    Denial { work, about, reason, records, found }
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
        let genesis = me.genesis(0).expect("genesis");
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
        let policy = Policy { cooling_ms: 10, allow_ms_max: 1_000, ..Policy::default() };
        let reason = |policy: &Policy, now_ms: u64| {
            let gate = Gate::new(&ledger, policy, now_ms);
            gate.decide::<TrainOther>(work(1)).map(Permit::spend).map_err(|d| d.reason)
        };
        assert_eq!(reason(&policy, 9), Err(DenialReason::AllowNotLive));
        assert_eq!(reason(&policy, 10), Ok(work(1)));
        assert_eq!(reason(&policy, 99), Ok(work(1)));
        assert_eq!(reason(&policy, 100), Err(DenialReason::AllowNotLive));
        let shorter = Policy { allow_ms_max: 50, ..policy.clone() };
        assert_eq!(reason(&shorter, 50), Err(DenialReason::AllowNotLive));
        // Where silence is yes, an ended allow is silence.
        let open = Policy { default: Silence::OptOut, ..policy.clone() };
        assert_eq!(reason(&open, 100), Ok(work(1)));

        let gate = Gate::new(&ledger, &policy, 200);
        let check = |n, about| gate.check(&work(n).into(), about, &SetAside::default());
        let denial = check(1, USE).unwrap_err();
        assert_eq!(denial.records, [id]);
        assert_eq!(check(2, USE).unwrap_err().reason, DenialReason::Silent);
        assert_eq!(check(1, Use::Mine).unwrap_err().reason, DenialReason::Silent);
    }

    #[test]
    fn what_reaches_too_far_is_not_counted_on() {
        let likeness = Likeness { reach_max: 3, ..Likeness::default() };
        let (far, near) = (RecordId::of(b"far"), RecordId::of(b"near"));
        let mut reach = Reach::default();
        for part in 0..100u128 {
            let works = |from: u128| (from..from + 3).collect();
            let some = BTreeMap::from([(far, works(part * 2)), (near, works(7))]);
            reach.merge(Reach(some), &likeness);
        }
        assert_eq!((reach.0[&far].len(), reach.0[&near].len()), (4, 3));
        assert_eq!(reach.beyond(&likeness), SetAside([far].into()));
    }

    #[test]
    fn permits_and_denials_say_what_they_are_for() {
        let rules = vec![(USE, Value::Constrained)];
        let (ledger, id) = ledger_with(&Statement { rules, ..Statement::deny(&[USE]) });
        let open = Policy { default: Silence::OptOut, ..Policy::default() };
        let gate = Gate::new(&ledger, &open, 0);
        let (permits, denials) = gate.decide_many::<TrainOther>([work(1), work(2)]);
        assert_eq!(permits.len(), 1);
        assert_eq!((permits[0].work(), permits[0].frontier()), (work(2), ledger.frontier_id()));
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
        assert_eq!(gate.value(&work(1).into(), USE, &SetAside::default()), Value::Constrained);
    }
}
