//! Rules written as text of an outside scheme.
//!
//! The law: what is read back from an export is never weaker than the rules. A refusal may become
//! wider and `constrained` a refusal; an allow may only become narrower, and is written only where
//! every meaning of the scheme's word is allowed. A restriction for which a scheme has no word is
//! named in [`Exported::unsaid`], and [`Exported::whole`] refuses such a text.
//!
//! Invariants: a term that came from the scheme goes back to it verbatim ([`of_term`]).
//! What it is not: a writer of files that exist; texts are whole, and merging them is the caller's.

use super::ai_token;
use super::scheme::Scheme;
use super::tdmrep::MINING;
use super::term::Term;
use crate::use_atom::{Use, Value};

/// A text and what it could not say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exported {
    /// The text; empty if the scheme has no word for any of it.
    pub text: String,
    /// Restricted uses that the scheme has no word for, sorted.
    pub unsaid: Vec<Use>,
}

/// Why rules have no text in a scheme.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{scheme} has no word for a restriction of {}", .unsaid.iter().map(|atom| atom.as_str()).collect::<Vec<_>>().join(", "))]
pub struct ExportError {
    /// Which scheme.
    pub scheme: Scheme,
    /// The restricted uses.
    pub unsaid: Vec<Use>,
}

impl Exported {
    /// The text, if it says every restriction.
    pub fn whole(self, scheme: Scheme) -> Result<String, ExportError> {
        if self.unsaid.is_empty() {
            return Ok(self.text);
        }
        Err(ExportError { scheme, unsaid: self.unsaid })
    }
}

/// A term in a scheme: verbatim if it came from there, and written anew from its rules otherwise.
/// None for the schemes that are only read.
pub fn of_term(term: &Term, scheme: Scheme) -> Option<Exported> {
    if let Some(text) = term.verbatim(scheme) {
        return Some(Exported { text: text.to_owned(), unsaid: Vec::new() });
    }
    Some(match scheme {
        Scheme::Aipref => aipref(&term.rules),
        Scheme::Robots => robots(&term.rules),
        Scheme::Tdmrep => tdmrep(&term.rules, term.policy_url.as_deref()),
        Scheme::AiTxt => ai_txt(&term.rules),
        Scheme::ContentSignal => content_signal(&term.rules),
        Scheme::XRobots => x_robots(&term.rules),
        Scheme::Rsl | Scheme::BigCode | Scheme::Iptc | Scheme::Cawg => return None,
    })
}

/// A `Content-Usage` field, to be read by any draft: `train-ai=y` needs both kinds of training.
/// Readers of the latest drafts take `train-ai=n` for generative training alone, so a restriction of
/// other training counts as unsaid although older readers will hear it.
pub fn aipref(rules: &[(Use, Value)]) -> Exported {
    let words = [("train-ai", &Use::TRAINING[..]), ("search", &[Use::Index])];
    let Exported { text, mut unsaid } = pairs(rules, &words, ["n", "y"]);
    if value(rules, Use::TrainOther).restricts() {
        unsaid.push(Use::TrainOther);
        unsaid.sort();
    }
    Exported { text, unsaid }
}

/// A `Content-Signal` line's value.
pub fn content_signal(rules: &[(Use, Value)]) -> Exported {
    let words =
        [("search", &[Use::Index][..]), ("ai-input", &[Use::Ground]), ("ai-train", &Use::TRAINING)];
    pairs(rules, &words, ["no", "yes"])
}

/// Groups of a robots.txt that turn models' crawlers away from all paths. Nothing is ever permitted.
pub fn robots(rules: &[(Use, Value)]) -> Exported {
    let refused = |uses: &[Use]| word(rules, uses) == Some(false);
    let (trains, grounds) = (refused(&Use::TRAINING), refused(&[Use::Ground]));
    let tokens = ai_token::tokens()
        .filter(|token| token.trains && trains || token.grounds && grounds)
        .map(|token| format!("User-agent: {}\n", token.name));
    let mut text: String = tokens.collect();
    if !text.is_empty() {
        text += "Disallow: /\n";
    }
    Exported { text, unsaid: unsaid(rules, &[&Use::TRAINING, &[Use::Ground]]) }
}

/// A `/.well-known/tdmrep.json` for the whole host. With a policy the reservation is open to terms,
/// so a policy is named only where nothing is refused outright.
pub fn tdmrep(rules: &[(Use, Value)], policy_url: Option<&str>) -> Exported {
    let denied = MINING.iter().any(|atom| value(rules, *atom) == Value::Deny);
    let mut rule = serde_json::Map::new();
    rule.insert("location".to_owned(), "/".into());
    let text = match word(rules, &MINING) {
        None => "[]".to_owned(),
        Some(allowed) => {
            rule.insert("tdm-reservation".to_owned(), u8::from(!allowed).into());
            if let (false, false, Some(url)) = (allowed, denied, policy_url) {
                rule.insert("tdm-policy".to_owned(), url.into());
            }
            serde_json::Value::Array(vec![rule.into()]).to_string()
        }
    };
    Exported { text, unsaid: unsaid(rules, &[&MINING]) }
}

/// A Spawning `ai.txt` for the whole host.
pub fn ai_txt(rules: &[(Use, Value)]) -> Exported {
    let text = match word(rules, &Use::TRAINING) {
        None => "",
        Some(true) => "User-Agent: *\nAllow: /\n",
        Some(false) => "User-Agent: *\nDisallow: /\n",
    };
    Exported { text: text.to_owned(), unsaid: unsaid(rules, &[&Use::TRAINING]) }
}

/// An `X-Robots-Tag` field's value. Nothing is ever permitted.
pub fn x_robots(rules: &[(Use, Value)]) -> Exported {
    let words = [("noai, noimageai", &Use::TRAINING[..]), ("noindex", &[Use::Index])];
    let said = words.iter().filter(|(_, uses)| word(rules, uses) == Some(false));
    let text: Vec<&str> = said.map(|(said, _)| *said).collect();
    Exported { text: text.join(", "), unsaid: unsaid(rules, &words.map(|(_, uses)| uses)) }
}

fn pairs(rules: &[(Use, Value)], words: &[(&str, &[Use])], said: [&str; 2]) -> Exported {
    let pairs = words.iter().filter_map(|(name, uses)| {
        word(rules, uses).map(|allowed| format!("{name}={}", said[usize::from(allowed)]))
    });
    let text: Vec<String> = pairs.collect();
    let uses: Vec<&[Use]> = words.iter().map(|(_, uses)| *uses).collect();
    Exported { text: text.join(", "), unsaid: unsaid(rules, &uses) }
}

/// What to say of uses that a scheme has one word for: no if one is restricted, yes if all are
/// allowed.
fn word(rules: &[(Use, Value)], uses: &[Use]) -> Option<bool> {
    if uses.iter().any(|atom| value(rules, *atom).restricts()) {
        return Some(false);
    }
    uses.iter().all(|atom| value(rules, *atom) == Value::Allow).then_some(true)
}

/// The strictest that is said of a use.
fn value(rules: &[(Use, Value)], atom: Use) -> Value {
    let said = rules.iter().filter(|(ruled, _)| *ruled == atom).map(|(_, value)| *value);
    said.max().unwrap_or_default()
}

fn unsaid(rules: &[(Use, Value)], said: &[&[Use]]) -> Vec<Use> {
    let restricted = Use::ALL.into_iter().filter(|atom| value(rules, *atom).restricts());
    restricted.filter(|atom| !said.iter().any(|uses| uses.contains(atom))).collect()
}

#[cfg(test)]
#[path = "tests/export.rs"]
mod tests;
