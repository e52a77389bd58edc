//! Training and data mining assertions: CAWG 1.1 (`cawg.training-mining`) and C2PA 1.x
//! (`c2pa.training-mining`), with the map of entries under `entries` or, as older documents had it,
//! at the top.
//!
//! | entry | use |
//! |---|---|
//! | `data_mining` | mine |
//! | `ai_inference` | ground |
//! | `ai_training` | train other than generative |
//! | `ai_generative_training` | train generative |
//!
//! `notAllowed` refuses, `constrained` stays constrained and its `constraint_info` a qualifier.
//! `allowed` permits only with [`Trust::Validated`]: **[`read_picture`] checks no signature, so what
//! it finds may restrict and never permits.** Assertions of ingredients in the same store count too.
//!
//! Invariants: an entry without `use`, or with a value not known, makes the assertion unreadable; so
//! does an entry of a reserved name not known here that restricts, and a compressed store. Entries
//! of other names say nothing, as the specification lets anyone add them.
//! What it is not: a validator of content credentials.

use ciborium::Value as Tree;

use super::found::{Fault, Found};
use super::scheme::Scheme;
use super::term::{Term, all};
use super::{container, jumbf, tree};
use crate::use_atom::{Use, Value};

const WHAT: &str = "a training assertion";
/// Labels of the assertion; instances have `__1` and the like after them.
const LABELS: [&str; 2] = ["cawg.training-mining", "c2pa.training-mining"];

/// Whether somebody checked the signature over an assertion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// Nobody did: it may restrict only.
    Unvalidated,
    /// The caller did, up to a certificate that it trusts.
    Validated,
}

/// Whether a label is that of a training and data mining assertion.
pub fn is_label(label: &str) -> bool {
    LABELS.iter().any(|known| label.starts_with(known))
}

/// Reads an assertion's content in JSON.
pub fn read_json(bytes: &[u8], label: &str, trust: Trust) -> Found {
    Found::of(
        Scheme::Cawg,
        tree::json(bytes).and_then(|tree| term(&tree, label, trust)).map(|t| vec![t]),
    )
}

/// Reads an assertion's content in CBOR.
pub fn read_cbor(bytes: &[u8], label: &str, trust: Trust) -> Found {
    Found::of(
        Scheme::Cawg,
        tree::cbor(bytes).and_then(|tree| term(&tree, label, trust)).map(|t| vec![t]),
    )
}

/// Reads the assertions in a picture's own content credentials, unvalidated.
pub fn read_picture(picture: &[u8]) -> Found {
    let terms = container::metadata(picture).and_then(|metadata| {
        let terms: Vec<Vec<Term>> =
            metadata.jumbf.iter().map(|store| store_terms(store)).collect::<Result<_, _>>()?;
        Ok(terms.into_iter().flatten().collect())
    });
    Found::of(Scheme::Cawg, terms)
}

fn store_terms(store: &[u8]) -> Result<Vec<Term>, Fault> {
    let mut terms = Vec::new();
    for content in jumbf::contents(store)? {
        let tree = match content.kind {
            b"brob" => return Err(Fault::malformed(WHAT, "the store is compressed")),
            // Padding and salts accompany a content.
            b"free" | b"c2sh" => continue,
            _ if !is_label(content.label) => continue,
            b"cbor" => tree::cbor(content.bytes)?,
            b"json" => tree::json(content.bytes)?,
            _ => return Err(Fault::malformed(WHAT, "it is neither CBOR nor JSON")),
        };
        terms.push(term(&tree, content.label, Trust::Unvalidated)?);
    }
    Ok(terms)
}

fn term(assertion: &Tree, label: &str, trust: Trust) -> Result<Term, Fault> {
    let top = tree::entries(assertion, WHAT)?;
    let mut entries = match tree::field(&top, "entries") {
        Some(entries) => tree::entries(entries, WHAT)?,
        None => Vec::new(),
    };
    // Entries beside `entries` are of the older layout; a document may mix them.
    entries.extend(top.iter().filter(|(name, _)| short_name(name).is_some()));
    let (mut rules, mut qualifiers) = (Vec::new(), Vec::new());
    for (name, entry) in entries {
        let Some(short) = short_name(name) else { continue };
        let fields = tree::entries(entry, WHAT)?;
        let said = tree::field(&fields, "use").and_then(Tree::as_text);
        let value =
            match said.ok_or_else(|| Fault::malformed(WHAT, format!("{name} has no use")))? {
                "allowed" => Value::Allow,
                "notAllowed" => Value::Deny,
                "constrained" => Value::Constrained,
                other => return Err(Fault::value(WHAT, other)),
            };
        let info = ["constraint_info", "constraints_info"];
        let info = info.iter().find_map(|field| tree::field(&fields, field)?.as_text());
        qualifiers.extend(info.map(|info| format!("{name}: {info}")));
        let uses: &[Use] = match short {
            "data_mining" => &[Use::Mine],
            "ai_inference" => &[Use::Ground],
            "ai_training" => &[Use::TrainOther],
            "ai_generative_training" => &[Use::TrainGenerative],
            _ if value.restricts() => return Err(Fault::value("the reserved entry", name)),
            _ => &[],
        };
        if value.restricts() || trust == Trust::Validated {
            rules.extend(all(uses, value));
        }
    }
    let term = Term::new(Scheme::Cawg, label, &tree::text(assertion), rules);
    Ok(term.qualified(qualifiers))
}

/// The name without the prefix that makes it reserved.
fn short_name(name: &str) -> Option<&str> {
    name.strip_prefix("cawg.").or_else(|| name.strip_prefix("c2pa."))
}

#[cfg(test)]
#[path = "tests/cawg.rs"]
mod tests;
