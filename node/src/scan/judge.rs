//! The answer about an item: the gate's, joined with what the item and its site say.
//!
//! Invariants: an outside term and whatever cannot be read only ever refuse; of the works that an
//! item is, a restriction of any refuses it, and where silence is no, an allow of any suffices. What
//! it is not: a permit. It tells people.

use consent::{Denial, DenialReason, Gate, Match, SetAside, Silence, Use};

use super::item::{Item, State};
use crate::api::dto::ScanItem;

/// A gate with the question.
pub(super) struct Judge<'a> {
    pub gate: &'a Gate<'a>,
    pub about: Use,
    pub default: Silence,
    pub aside: &'a SetAside,
}

impl Judge<'_> {
    /// The answer, ready for a report.
    pub(super) fn about(&self, item: &Item) -> ScanItem {
        let (place, licence) = (item.place.clone(), item.licence.clone());
        let mut told = ScanItem { place, licence, ..ScanItem::default() };
        let (works, words) = match &item.state {
            State::Unreadable(why) => {
                told.verdict = "unreadable".into();
                (told.reason, told.why) = (Some("unreadable".into()), Some(why.clone()));
                return told;
            }
            State::Read(works, words) => (works, words),
        };
        told.content = works.first().map(|known| known.content);
        let answers: Vec<Result<(), Denial>> = works
            .iter()
            .map(|known| self.gate.check(&known.work(), self.about, self.aside))
            .collect();
        told.verdict = "refused".into();
        if let Some(denial) = joined(answers, self.default) {
            told.reason = Some(reason(denial.reason).into());
            told.why = Some(match denial.found {
                Some(found) => format!("{}, found by {found}", denial.reason),
                None => denial.reason.to_string(),
            });
            told.records = denial.records;
            (told.found, told.distance) = denial.found.map_or((None, None), shown);
            if restricts(denial.reason) {
                return told;
            }
        }
        if let Some(word) = words.first() {
            told.reason = Some("terms".into());
            told.why = Some(word.term.clone());
            told.scheme = Some(word.scheme.clone());
        } else if told.reason.is_none() {
            told.verdict = "allowed".into();
        }
        told
    }
}

/// The one answer of several works that are one item.
fn joined(answers: Vec<Result<(), Denial>>, default: Silence) -> Option<Denial> {
    let allowed = answers.iter().any(Result::is_ok);
    let mut denials: Vec<Denial> = answers.into_iter().filter_map(Result::err).collect();
    if let Some(at) = denials.iter().position(|denial| restricts(denial.reason)) {
        return Some(denials.swap_remove(at));
    }
    if allowed && default == Silence::OptIn {
        return None;
    }
    let not_live = denials.iter().position(|it| it.reason == DenialReason::AllowNotLive);
    not_live.map(|at| denials.swap_remove(at)).or_else(|| denials.into_iter().next())
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

fn shown(found: Match) -> (Option<String>, Option<u32>) {
    let (name, distance) = match found {
        Match::Content => ("content", None),
        Match::Collection => ("collection", None),
        Match::Code { kind, distance } => (kind.as_str(), Some(distance)),
        Match::Passages { .. } => ("passages", None),
        Match::Maker(_) => ("maker", None),
        Match::Place => ("place", None),
    };
    (Some(name.to_owned()), distance)
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
