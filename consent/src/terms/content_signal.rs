//! `Content-Signal` of robots.txt (contentsignals.org): `search`, `ai-input` and `ai-train`, yes or
//! no. A signal that is absent says nothing; a word that the policy does not have is ignored, as a
//! signal added later; a value that is neither yes nor no makes the file unreadable, for the policy
//! gives it no meaning.
//!
//! Invariants: lines are chosen as `Content-Usage` lines are: of the crawler's groups, with the
//! longest matching path, and the strictest of them. What it is not: a licence; the policy's own text
//! says what a no reserves.

use super::found::{Fault, Found};
use super::pattern::UrlPath;
use super::robots::{Robots, Rule, RuleKind};
use super::scheme::Scheme;
use super::term::{Scope, Term, all};
use crate::use_atom::{Use, Value};

const VERSION: &str = "2025-09";

/// What the signals of a robots.txt say of the resource at `path` to a crawler with this token.
pub fn read(bytes: &[u8], token: &str, path: &UrlPath) -> Found {
    let terms = Robots::parse(bytes).and_then(|robots| {
        robots.about_use(token, RuleKind::ContentSignal, path).into_iter().map(term).collect()
    });
    Found::of(Scheme::ContentSignal, terms)
}

/// Every line of signals in a robots.txt for a crawler with this token.
pub fn terms(robots: &Robots, token: &str) -> Result<Vec<Term>, Fault> {
    let rules = robots.rules_for(token);
    rules.into_iter().filter(|rule| rule.kind == RuleKind::ContentSignal).map(term).collect()
}

fn term(rule: &Rule) -> Result<Term, Fault> {
    let mut rules = Vec::new();
    for signal in rule.said().split([',', ';']).map(str::trim).filter(|said| !said.is_empty()) {
        let (name, said) = signal.split_once('=').unwrap_or((signal, ""));
        let uses: &[Use] = match name.trim().to_ascii_lowercase().as_str() {
            "search" => &[Use::Index],
            "ai-input" => &[Use::Ground],
            "ai-train" => &Use::TRAINING,
            _ => continue,
        };
        let value = match said.trim().to_ascii_lowercase().as_str() {
            "yes" => Value::Allow,
            "no" => Value::Deny,
            _ => return Err(Fault::value("a content signal", signal)),
        };
        rules.extend(all(uses, value));
    }
    let term = Term::new(Scheme::ContentSignal, VERSION, &rule.value, rules);
    Ok(term.at(rule.pattern.clone().map_or(Scope::Whole, Scope::Path)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(line: &str) -> [Value; 3] {
        let text = format!("User-Agent: *\nContent-Signal: {line}\nAllow: /\n");
        let found = read(text.as_bytes(), "accord", &UrlPath::new("/a"));
        [Use::Index, Use::Ground, Use::TrainGenerative].map(|atom| found.value(atom))
    }

    #[test]
    fn signals() {
        use Value::{Allow, Deny, Unset};
        for (line, expected) in [
            ("search=yes, ai-input=no, ai-train=no", [Allow, Deny, Deny]),
            ("search=yes,ai-train=no", [Allow, Unset, Deny]),
            ("SEARCH = Yes", [Allow, Unset, Unset]),
            ("/a ai-train=yes", [Unset, Unset, Allow]),
            ("/b ai-train=no", [Unset; 3]),
            ("ai-train=yes, ai-train=no", [Unset, Unset, Deny]),
            ("later=no", [Unset; 3]),
            ("ai-train", [Deny; 3]),
            ("ai-train=maybe", [Deny; 3]),
        ] {
            assert_eq!(values(line), expected, "{line}");
        }
    }
}
