//! Reopening: how somebody takes restrictions on some works back and keeps the others.
//!
//! A lift ends a statement whole, with all its subjects and rules. So what is to stay is stated again
//! first, and the old statements are lifted after. Taken back is what names the very subjects: the
//! bytes, the codes and the passages of the works; not what is merely near, which may be about
//! another work.
//!
//! Invariants: between and after these steps nothing is open that was not asked for: what allowed
//! and did not count is not said again. What it is not: an allow; after reopening a work nothing is
//! said about it.

use std::collections::{BTreeMap, BTreeSet};

use protocol::limits::{PASSAGE_WORKS_MAX, SIMILAR_PER_FEED_MAX};
use protocol::{ContentId, FeedId, PublicKey, RecordId};

use crate::hamming::Scratch;
use crate::ledger::{ClaimState, Ledger, Speakers};
use crate::policy::Likeness;
use crate::statement::Statement;
use crate::subject::Subject;
use crate::use_atom::{Use, Value};
use crate::work::{Match, Work};

/// Who takes back: an identity its own word and what others said in its name, or what it said in
/// somebody else's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reopener {
    /// The identity that signs.
    pub author: PublicKey,
    /// In whose name, if not its own.
    pub behalf: Option<PublicKey>,
}

/// A statement that holds something back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Restriction {
    /// Its record.
    pub record: RecordId,
    /// Whether what else it allows counts, as whoever takes it back said it: so it may be said again.
    pub gives: bool,
}

/// What to sign to reopen works, in this order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reopening {
    /// What stays, to be stated again first.
    pub restated: Vec<Statement>,
    /// The statements to be lifted then, sorted.
    pub lifted: Vec<RecordId>,
}

impl Ledger {
    /// The live statements that `who` may take back and that restrict one of `uses`, among them all
    /// that name one of these contents, codes, passages or collections.
    pub fn restricting(
        &self,
        who: Reopener,
        subjects: &BTreeSet<Subject>,
        uses: &[Use],
    ) -> BTreeSet<Restriction> {
        let mut restricting = BTreeSet::new();
        let mut scratch = Scratch::new();
        for subject in subjects {
            self.find_naming(subject, &mut scratch, |slot| {
                restricting.extend(self.restriction(who, slot, uses));
            });
        }
        restricting
    }

    /// The live statements that `who` may take back and that restrict some of `works` for one of
    /// `uses` as parts of a collection, with how many of them.
    pub fn restricting_collections(
        &self,
        who: Reopener,
        works: &BTreeSet<ContentId>,
        uses: &[Use],
    ) -> BTreeMap<RecordId, u64> {
        let mut restricting = BTreeMap::new();
        let (likeness, mut scratch) = (Likeness::default(), Scratch::new());
        for work in works {
            let mut holding = BTreeSet::new();
            self.find(&Work::from(*work), &likeness, &mut scratch, |slot, found| {
                if found == Match::Collection {
                    holding.extend(self.restriction(who, slot, uses));
                }
            });
            for restriction in holding {
                *restricting.entry(restriction.record).or_default() += 1;
            }
        }
        restricting
    }

    /// Whether what a feed would state again by likeness would find what it found before: only so
    /// many subjects of a feed count, and so many statements that name one passage.
    pub fn has_room(&self, feed: &FeedId, restated: &[Statement]) -> bool {
        let held = self.head(feed).and_then(|head| self.held_record(&head.head));
        let named = held.map_or(0, |held| self.entry(held.slot).similar as usize);
        let mut likenesses = 0;
        let mut passages: BTreeMap<u64, usize> = BTreeMap::new();
        for statement in restated {
            let mut prints: BTreeSet<u64> = BTreeSet::new();
            for subject in &statement.subjects {
                likenesses += usize::from(subject.is_likeness());
                if let Subject::Passages(named) = subject {
                    prints.extend(named);
                }
            }
            prints.into_iter().for_each(|print| *passages.entry(print).or_default() += 1);
        }
        named + likenesses <= SIMILAR_PER_FEED_MAX as usize
            && passages.into_iter().all(|(print, more)| {
                let before = self.naming_passage(print);
                before + more <= PASSAGE_WORKS_MAX
            })
    }

    fn restriction(&self, who: Reopener, slot: u32, uses: &[Use]) -> Option<Restriction> {
        let Speakers { by, principal, had_leave } = self.speakers(slot)?;
        let is_own = match who.behalf {
            Some(_) => by == who.author && principal == who.behalf,
            // What a stranger says in somebody's name is not theirs to say again.
            None if by != who.author => principal == Some(who.author) && had_leave,
            None => principal.is_none_or(|principal| principal == by),
        };
        // How it speaks of a work only matters for makers.
        let claim = |about: &Use| self.claim(slot, *about, Match::Content);
        let restricts = uses
            .iter()
            .filter_map(claim)
            .any(|claim| claim.state == ClaimState::Live && claim.value.restricts());
        if !is_own || !restricts {
            return None;
        }
        let allows = Use::ALL.iter().filter_map(claim).filter(|it| it.value == Value::Allow);
        let mut allows = allows.peekable();
        let gives = by == who.author
            && allows.peek().is_none_or(|claim| !self.is_doubted(claim))
            && allows.all(|claim| claim.state == ClaimState::Live);
        Some(Restriction { record: self.id(slot), gives })
    }
}

impl Reopening {
    /// What `who` must sign so that none of these statements, which are all that
    /// [`Ledger::restricting`] named, restricts `subjects` for `uses` any more.
    pub fn of(
        who: Reopener,
        statements: &BTreeMap<Restriction, Statement>,
        subjects: &BTreeSet<Subject>,
        uses: &[Use],
    ) -> Self {
        let mut reopening = Self::default();
        for (restriction, old) in statements {
            if old.subjects.iter().any(|subject| subjects.contains(subject)) {
                let said = said_again(who, *restriction, old);
                reopening.restated.extend(remainder(&said, subjects, uses));
                reopening.lifted.push(restriction.record);
            }
        }
        reopening
    }
}

/// The statement as whoever takes it back may say it: what allowed and did not count is left out.
fn said_again(who: Reopener, restriction: Restriction, old: &Statement) -> Statement {
    let mut said = old.clone();
    if who.behalf.is_none() {
        said.behalf = None;
    }
    if !restriction.gives {
        said.rules.retain(|(_, value)| value.restricts());
    }
    tidied(said)
}

/// What of `old` stays when its restrictions on `subjects` for `uses` go.
fn remainder(old: &Statement, subjects: &BTreeSet<Subject>, uses: &[Use]) -> Vec<Statement> {
    let (named, others): (Vec<Subject>, Vec<Subject>) =
        old.subjects.iter().cloned().partition(|subject| subjects.contains(subject));
    let mut fewer = old.clone();
    fewer.rules.retain(|(about, value)| !(value.restricts() && uses.contains(about)));
    let mut restated = old.over_subjects(others);
    if !fewer.rules.is_empty() {
        restated.extend(tidied(fewer).over_subjects(named));
    }
    restated
}

/// Without the end and the terms that no rule has any more.
fn tidied(mut statement: Statement) -> Statement {
    let has = |value: Value| statement.rules.iter().any(|(_, said)| *said == value);
    let (allows, constrains) = (has(Value::Allow), has(Value::Constrained));
    statement.not_after_ms = statement.not_after_ms.filter(|_| allows);
    statement.terms = statement.terms.filter(|_| constrains);
    statement
}
