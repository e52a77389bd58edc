//! The policy that a TDM reservation may name: an ODRL offer (TDMRep report, "Expressing a TDM
//! Policy").
//!
//! An offer permits nothing by itself: whatever it holds, mining and training stay constrained until
//! there is an agreement, and its permissions are kept as they were written, with the purposes
//! (`tdm:research`, `tdm:non-research`) and duties that they name set apart.
//!
//! Invariants: a document that is no offer of the profile is unreadable. What it is not: ODRL.

use ciborium::Value as Tree;

use super::found::{Fault, Found};
use super::scheme::Scheme;
use super::tdmrep::{MINING, VERSION};
use super::term::{Term, all};
use super::tree;
use crate::use_atom::Value;

const WHAT: &str = "a TDM policy";
const PROFILE: &str = "http://www.w3.org/ns/tdmrep";

/// Reads a policy. Qualifiers are `purpose …`, `duty …`, `target …` and `permission …`, the last in
/// JSON.
pub fn read(bytes: &[u8]) -> Found {
    Found::of(Scheme::Tdmrep, tree::json(bytes).and_then(|policy| offer(&policy)).map(|t| vec![t]))
}

fn offer(policy: &Tree) -> Result<Term, Fault> {
    let fields = tree::entries(policy, WHAT)?;
    let text = |name| tree::field(&fields, name).and_then(Tree::as_text);
    let profile = text("profile").map(|profile| profile.trim_end_matches(['/', '#']));
    if text("@type").or_else(|| text("type")) != Some("Offer") || profile != Some(PROFILE) {
        return Err(Fault::malformed(WHAT, "it is no offer of the profile"));
    }
    let permissions = list(tree::field(&fields, "permission"));
    let mut qualifiers = Vec::new();
    for permission in &permissions {
        qualifiers.extend(parts(permission)?);
        qualifiers.push(format!("permission {}", tree::text(permission)));
    }
    let rules = all(&MINING, Value::Constrained);
    let term = Term::new(Scheme::Tdmrep, VERSION, &tree::text(policy), rules);
    Ok(term.under(text("uid").map(str::to_owned)).qualified(qualifiers))
}

fn parts(permission: &Tree) -> Result<Vec<String>, Fault> {
    let fields = tree::entries(permission, WHAT)?;
    let mut parts = Vec::new();
    if let Some(target) = tree::field(&fields, "target").and_then(Tree::as_text) {
        parts.push(format!("target {target}"));
    }
    for duty in list(tree::field(&fields, "duty")) {
        let action = tree::entries(duty, WHAT)?;
        let action = tree::field(&action, "action").and_then(Tree::as_text);
        parts.extend(action.map(|action| format!("duty {action}")));
    }
    for constraint in list(tree::field(&fields, "constraint")) {
        let fields = tree::entries(constraint, WHAT)?;
        let text = |name| tree::field(&fields, name).and_then(Tree::as_text);
        if let (Some("purpose"), Some(purpose)) = (text("leftOperand"), text("rightOperand")) {
            parts.push(format!("purpose {purpose}"));
        }
    }
    Ok(parts)
}

/// A list, or the one thing that JSON-LD lets stand for it.
fn list(tree: Option<&Tree>) -> Vec<&Tree> {
    match tree {
        Some(Tree::Array(items)) => items.iter().collect(),
        Some(item) => vec![item],
        None => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::use_atom::Use;

    /// The report's second full example, with the comma that it has too many removed.
    #[test]
    fn an_offer_is_no_permission() {
        let policy = br#"{
            "@context": ["http://www.w3.org/ns/odrl.jsonld", "http://www.w3.org/ns/tdmrep.jsonld"],
            "@type": "Offer", "profile": "http://www.w3.org/ns/tdmrep",
            "uid": "https://provider.com/policies/1",
            "assigner": {"uid": "https://provider.com", "vcard:fn": "Provider"},
            "permission": [{"action": "tdm:mine", "duty": [{"action": "compensate"}],
                "constraint": [{"leftOperand": "purpose", "operator": "eq",
                                "rightOperand": "tdm:non-research"}]}]}"#;
        let found = read(policy);
        let term = &found.terms()[0];
        assert_eq!(term.rules, MINING.map(|atom| (atom, Value::Constrained)));
        assert_eq!(term.policy_url.as_deref(), Some("https://provider.com/policies/1"));
        assert_eq!(term.qualifiers[..2], ["duty compensate", "purpose tdm:non-research"]);
        assert!(term.qualifiers[2].starts_with(r#"permission {"action":"tdm:mine""#));
        let free = br#"{"@type": "Offer", "profile": "http://www.w3.org/ns/tdmrep",
            "permission": {"action": "tdm:mine"}}"#;
        assert!(read(free).excludes(Use::Mine));
        for broken in [&b"[]"[..], b"{}", br#"{"@type": "Set"}"#, b"{", br#"{"@type": "Offer"}"#] {
            assert!(read(broken).fault().is_some());
        }
    }
}
