//! TDM Reservation Protocol (W3C community group, final report 2024): `/.well-known/tdmrep.json`,
//! the headers `tdm-reservation` and `tdm-policy`, `meta` elements, and XMP.
//!
//! 1 refuses mining and training, or makes them a matter of terms where a policy is named; 0 permits
//! them; any other value leaves the reservation unset, as the report says, except that `true`, and
//! 1 as a text, are taken for 1: that can only restrict.
//!
//! Invariants: in the file the *first* matching rule counts, not the longest; a rule without its
//! mandatory fields makes the file unreadable. What it is not: the policy's reader, see
//! [`super::tdm_policy`].

use ciborium::Value as Tree;

use protocol::limits::{HEADER_BYTES_MAX, TERMS_RULES_MAX};

use super::found::{Fault, Found, bounded};
use super::html;
use super::pattern::{PathPattern, UrlPath};
use super::scheme::Scheme;
use super::term::{Scope, Term, all};
use super::{tree, xmp};
use crate::use_atom::{Use, Value};

pub(super) const VERSION: &str = "2024-final";
/// The uses that text and data mining means here.
pub const MINING: [Use; 3] = [Use::TrainGenerative, Use::TrainOther, Use::Mine];
/// The namespace of the two properties in XMP, without the mark at its end.
const NAMESPACE: &str = "http://www.w3.org/ns/tdmrep";

/// What the file on the host says of the resource at `path`.
pub fn read_file(bytes: &[u8], path: &UrlPath) -> Found {
    let first = terms(bytes).map(|terms| {
        terms.into_iter().find(|term| term.scope.covers_path(path)).into_iter().collect()
    });
    Found::of(Scheme::Tdmrep, first)
}

/// Every rule of the file, in sequence.
pub fn terms(bytes: &[u8]) -> Result<Vec<Term>, Fault> {
    const WHAT: &str = "a list of TDM rules";
    let file = tree::json(bytes)?;
    let rules = file.as_array().ok_or_else(|| Fault::malformed(WHAT, "it is no list"))?;
    if rules.len() > TERMS_RULES_MAX {
        return Err(Fault::TooMany(TERMS_RULES_MAX, "TDM rules"));
    }
    rules.iter().map(rule).collect()
}

fn rule(rule: &Tree) -> Result<Term, Fault> {
    const WHAT: &str = "a TDM rule";
    let fields = tree::entries(rule, WHAT)?;
    let missing = |name| Fault::malformed(WHAT, format!("{name} is missing or of another type"));
    let location = tree::field(&fields, "location")
        .and_then(Tree::as_text)
        .ok_or_else(|| missing("location"))?;
    let reservation =
        tree::field(&fields, "tdm-reservation").ok_or_else(|| missing("tdm-reservation"))?;
    let policy = match tree::field(&fields, "tdm-policy") {
        None | Some(Tree::Null) => None,
        Some(policy) => Some(policy.as_text().ok_or_else(|| missing("tdm-policy"))?),
    };
    let reserved = match reservation {
        Tree::Integer(number) => match i128::from(*number) {
            1 => Some(true),
            0 => Some(false),
            _ => None,
        },
        Tree::Bool(true) => Some(true),
        Tree::Text(text) if text.trim() == "1" => Some(true),
        _ => None,
    };
    let scope = match location {
        "/" | "/*" => Scope::Whole,
        location => Scope::Path(PathPattern::new(location)),
    };
    let verbatim = format!("[{}]", tree::text(rule));
    Ok(term(reserved, policy, &verbatim).at(scope))
}

/// Reads the two header fields.
pub fn read_headers(reservation: Option<&[u8]>, policy: Option<&[u8]>) -> Found {
    let text = |field: Option<&[u8]>| {
        let field = field.unwrap_or_default();
        bounded(field, HEADER_BYTES_MAX).map(|()| String::from_utf8_lossy(field).trim().to_owned())
    };
    let term = text(reservation).and_then(|reservation| {
        let policy = text(policy)?;
        let mut verbatim = format!("tdm-reservation: {reservation}");
        if !policy.is_empty() {
            verbatim += &format!("\ntdm-policy: {policy}");
        }
        Ok(vec![term(flag(&reservation), Some(&policy), &verbatim)])
    });
    Found::of(Scheme::Tdmrep, term)
}

/// Reads the `meta` elements of a page.
pub fn read_page(page: &[u8]) -> Found {
    let term = html::metas(page).map(|metas| {
        let named = |name: &str| {
            let found = metas.iter().filter(move |meta| meta.name.replace(':', "-") == name);
            found.map(|meta| meta.content.trim().to_owned()).collect::<Vec<_>>()
        };
        pairs(&named("tdm-reservation"), &named("tdm-policy"))
    });
    Found::of(Scheme::Tdmrep, term)
}

/// Reads the properties of an XMP packet, as PDF files carry it.
pub fn read_xmp(packet: &[u8]) -> Found {
    let read = xmp::properties(packet).map(|properties| {
        let named = |name: &str| {
            let found = properties.iter().filter(move |property| {
                property.name == name
                    && property.namespace.trim_end_matches(['/', '#']) == NAMESPACE
            });
            found.map(|property| property.value.clone()).collect::<Vec<_>>()
        };
        pairs(&named("reservation"), &named("policy"))
    });
    Found::of(Scheme::Tdmrep, read)
}

/// What prevails of a file's, a header's and an embedded reservation, in this order: the last that
/// says something, as the report has it. One that cannot be read excludes whatever the others say.
pub fn prevailing(found: impl IntoIterator<Item = Found>) -> Found {
    found.into_iter().fold(Found::Nothing, |before, next| match (&before, &next) {
        (Found::Unreadable(_), _) | (_, Found::Nothing) => before,
        _ => next,
    })
}

/// Each reservation with the policy, if there is exactly one: which of two is meant nobody can tell.
fn pairs(reservations: &[String], policies: &[String]) -> Vec<Term> {
    let policy = if let [policy] = policies { Some(policy.as_str()) } else { None };
    let term = |reservation: &String| {
        let mut verbatim = format!("tdm-reservation: {reservation}");
        if let Some(policy) = policy {
            verbatim += &format!("\ntdm-policy: {policy}");
        }
        term(flag(reservation), policy, &verbatim)
    };
    reservations.iter().map(term).collect()
}

fn flag(text: &str) -> Option<bool> {
    match text.trim() {
        "1" | "true" => Some(true),
        "0" => Some(false),
        _ => None,
    }
}

fn term(reserved: Option<bool>, policy: Option<&str>, verbatim: &str) -> Term {
    let policy =
        policy.map(str::trim).filter(|policy| !policy.is_empty() && reserved == Some(true));
    let value = match (reserved, policy) {
        (Some(true), Some(_)) => Value::Constrained,
        (Some(true), None) => Value::Deny,
        (Some(false), _) => Value::Allow,
        (None, _) => Value::Unset,
    };
    Term::new(Scheme::Tdmrep, VERSION, verbatim, all(&MINING, value))
        .under(policy.map(str::to_owned))
}

#[cfg(test)]
#[path = "tests/tdmrep.rs"]
mod tests;
