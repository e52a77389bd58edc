//! Why nothing of a table may be used, for people.
//!
//! What it is not: the decision, or the list of all refusals (see `accord consent check`).

use std::collections::BTreeMap;

use consent::Denial;

/// One line for a table of which the gate refused every row.
pub(super) fn none_admitted(denials: &[Denial]) -> String {
    let mut reasons = BTreeMap::<String, usize>::new();
    for denial in denials {
        *reasons.entry(denial.reason.to_string()).or_default() += 1;
    }
    let reasons: Vec<String> =
        reasons.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
    format!("none of {} samples may be used: {}", denials.len(), reasons.join(", "))
}

#[cfg(test)]
mod tests {
    use consent::{DenialReason, Use};
    use protocol::ContentId;

    use super::*;

    #[test]
    fn reasons_are_counted() {
        let denial = |reason| Denial {
            work: ContentId::of(b"work"),
            about: Use::TrainOther,
            reason,
            records: vec![],
            found: None,
        };
        let denials = [DenialReason::Denied, DenialReason::Silent, DenialReason::Denied];
        let said = none_admitted(&denials.map(denial));
        let expected = "none of 3 samples may be used: 2 denied, 1 nobody allowed";
        assert!(said.starts_with(expected), "{said}");
    }
}
