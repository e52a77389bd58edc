//! The answer about an item: the gate's, joined with what the item and its site say.
//!
//! Invariants: an outside term and whatever cannot be read only ever refuse; of the works that an
//! item is, a restriction of any refuses it, and where silence is no, an allow of any suffices. What
//! it is not: a permit. It tells people.

use std::path::PathBuf;

use consent::{Denial, DenialReason, Gate, Match, SetAside, Silence, Use};

use super::item::{Item, State, Word};
use crate::api::dto::ScanItem;

/// A gate with the question.
pub(super) struct Judge<'a> {
    pub gate: &'a Gate<'a>,
    pub about: Use,
    pub default: Silence,
    pub aside: &'a SetAside,
    pub files: &'a [PathBuf],
}

/// What is said of an item in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Allowed,
    Refused,
    Unreadable,
}

/// What is said of an item, and why.
#[derive(Debug)]
pub(super) struct Answer<'i> {
    pub verdict: Verdict,
    /// Why it may not be used, in a word.
    pub reason: Option<&'static str>,
    /// What the gate says.
    pub denial: Option<Denial>,
    /// What an outside term says, if that is what decides.
    pub word: Option<&'i Word>,
}

impl Judge<'_> {
    /// The answer. Without `alike` no claims of likeness are looked for.
    pub(super) fn about<'i>(&self, item: &'i Item, alike: bool) -> Answer<'i> {
        let (works, words) = match &item.state {
            State::Unreadable(_) => {
                let (verdict, reason) = (Verdict::Unreadable, Some("unreadable"));
                return Answer { verdict, reason, denial: None, word: None };
            }
            State::Read(works, words) => (works, words),
        };
        let asked = |known: &super::item::Known| {
            self.gate.check(&known.work(alike), self.about, self.aside)
        };
        let denial = joined(works.iter().map(asked), self.default);
        let refused = denial.as_ref().is_some_and(|denial| restricts(denial.reason));
        let word = words.first().filter(|_| !refused);
        let reason = match (&denial, word) {
            (_, Some(_)) => Some("terms"),
            (Some(denial), None) => Some(reason(denial.reason)),
            (None, None) => None,
        };
        let verdict = if reason.is_some() { Verdict::Refused } else { Verdict::Allowed };
        Answer { verdict, reason, denial, word }
    }

    /// An answer, ready for a report.
    pub(super) fn shown(&self, item: &Item, answer: &Answer<'_>) -> ScanItem {
        let mut shown = ScanItem {
            place: item.place.text(self.files),
            verdict: answer.verdict.text().to_owned(),
            licence: item.licence.clone(),
            reason: answer.reason.map(str::to_owned),
            ..ScanItem::default()
        };
        match &item.state {
            State::Unreadable(why) => shown.why = Some(why.clone()),
            State::Read(works, _) => shown.content = works.first().map(|known| known.content),
        }
        if let Some(denial) = &answer.denial {
            shown.why = Some(denial.in_words());
            shown.records.clone_from(&denial.records);
            shown.found = denial.found.map(|found| name(found).to_owned());
            shown.distance = denial.found.and_then(distance);
        }
        if let Some(word) = answer.word {
            (shown.why, shown.scheme) = (Some(word.term.clone()), Some(word.scheme.clone()));
        }
        shown
    }
}

impl Verdict {
    const fn text(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Refused => "refused",
            Self::Unreadable => "unreadable",
        }
    }
}

/// The one answer of several works that are one item.
fn joined(
    answers: impl IntoIterator<Item = Result<(), Denial>>,
    default: Silence,
) -> Option<Denial> {
    let (mut allowed, mut not_live, mut first) = (false, None, None);
    for answer in answers {
        match answer {
            Ok(()) => allowed = true,
            Err(denial) if restricts(denial.reason) => return Some(denial),
            Err(denial) if denial.reason == DenialReason::AllowNotLive => {
                not_live.get_or_insert(denial);
            }
            Err(denial) => {
                first.get_or_insert(denial);
            }
        }
    }
    if allowed && default == Silence::OptIn { None } else { not_live.or(first) }
}

/// Whether somebody said no, and not merely nobody yes.
const fn restricts(reason: DenialReason) -> bool {
    matches!(reason, DenialReason::Denied | DenialReason::Constrained)
}

const fn reason(reason: DenialReason) -> &'static str {
    match reason {
        DenialReason::Denied => "denied",
        DenialReason::Constrained => "constrained",
        DenialReason::AllowNotLive => "allow-not-live",
        DenialReason::Silent => "silent",
    }
}

/// How a claim speaks of a work.
pub(super) const fn name(found: Match) -> &'static str {
    match found {
        Match::Content => "content",
        Match::Collection => "collection",
        Match::Code { kind, .. } => kind.as_str(),
        Match::Passages { .. } => "passages",
        Match::Maker(_) => "maker",
        Match::Place => "place",
    }
}

const fn distance(found: Match) -> Option<u32> {
    match found {
        Match::Code { distance, .. } => Some(distance),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::ContentId;

    fn denial(reason: DenialReason) -> Result<(), Denial> {
        let (work, about) = (ContentId::of(b"work"), Use::Mine);
        Err(Denial { work, about, reason, records: vec![], found: None })
    }

    #[test]
    fn a_restriction_of_any_work_refuses_and_an_allow_of_any_suffices() {
        use DenialReason::{AllowNotLive, Constrained, Denied, Silent};
        let one = |answers: Vec<Result<(), Denial>>, default| {
            joined(answers, default).map(|denial| denial.reason)
        };
        let (open, closed) = (Silence::OptOut, Silence::OptIn);
        assert_eq!(one(vec![Ok(()), denial(Denied)], open), Some(Denied));
        assert_eq!(one(vec![denial(Silent), denial(Constrained)], closed), Some(Constrained));
        assert_eq!(one(vec![denial(Silent), Ok(())], closed), None);
        assert_eq!(one(vec![denial(Silent), denial(AllowNotLive)], closed), Some(AllowNotLive));
        assert_eq!(one(vec![Ok(()), Ok(())], open), None);
    }
}
