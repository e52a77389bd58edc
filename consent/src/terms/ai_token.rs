//! What robots.txt's refusal of a model's crawler is taken for.
//!
//! A `Disallow` for a token of the list (`ai_tokens.tsv`) is read as a refusal of the uses that the
//! crawler gathers for: an inferred wish, marked so. `Google-Extended` stands for training and for
//! grounding. An `Allow` takes back a wider `Disallow` and permits nothing; rules for `*` say
//! nothing of models, for they turn away every crawler alike.
//!
//! Invariants: the list has a version and a hash, and both go into a term's origin, so that a term
//! can be read again as it was read then. What it is not: complete. New crawlers appear each month.

use std::collections::BTreeMap;

use super::found::{Fault, Found};
use super::pattern::UrlPath;
use super::robots::{Robots, Rule, RuleKind, is_agent, longest};
use super::scheme::Scheme;
use super::term::{Scope, Term, all};
use crate::use_atom::{Use, Value};

/// When the list was made.
pub const LIST_VERSION: &str = "2026-11-20";

const LIST: &str = include_str!("ai_tokens.tsv");

/// A crawler, or a token without a crawler of its own, and what it gathers for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AiToken {
    /// As its operator writes it.
    pub name: &'static str,
    /// For training.
    pub trains: bool,
    /// For answers at inference.
    pub grounds: bool,
}

impl AiToken {
    /// The uses that it gathers for.
    pub const fn uses(self) -> &'static [Use] {
        match (self.trains, self.grounds) {
            (true, true) => &[Use::TrainGenerative, Use::TrainOther, Use::Ground],
            (true, false) => &Use::TRAINING,
            _ => &[Use::Ground],
        }
    }
}

/// The list, in order.
pub fn tokens() -> impl Iterator<Item = AiToken> {
    LIST.lines().filter(|line| !line.starts_with('#')).filter_map(|line| {
        let (name, class) = line.split_once('\t')?;
        let (trains, grounds) = (class != "ground", class != "train");
        Some(AiToken { name, trains, grounds })
    })
}

/// The list's version with its hash, as origins carry it.
pub fn list_id() -> String {
    let hash = blake3::hash(LIST.as_bytes()).to_hex();
    format!("{LIST_VERSION} {}", &hash[..16])
}

/// What a robots.txt is taken to say of the resource at `path`.
pub fn read(bytes: &[u8], path: &UrlPath) -> Found {
    Found::of(Scheme::Robots, Robots::parse(bytes).map(|robots| terms_for(&robots, path)))
}

/// Every refusal of a model's crawler in a file, with its path. Wider than [`read`] where an `Allow`
/// takes part of a refusal back.
pub fn terms(robots: &Robots) -> Result<Vec<Term>, Fault> {
    let version = list_id();
    let mut terms = Vec::new();
    for group in robots.groups() {
        let named: Vec<AiToken> = named(&group.agents).collect();
        for rule in group.rules.iter().filter(|rule| rule.kind == RuleKind::Disallow) {
            terms.extend(term(&named, rule, &version));
        }
    }
    Ok(terms)
}

fn terms_for(robots: &Robots, path: &UrlPath) -> Vec<Term> {
    let version = list_id();
    let mut refusals: BTreeMap<String, (&Rule, Vec<AiToken>)> = BTreeMap::new();
    for token in tokens().filter(|token| robots.names(token.name)) {
        let rules = robots.rules_for(token.name);
        if let Some(rule) = longest(&rules, path).filter(|rule| rule.kind == RuleKind::Disallow) {
            let (_, tokens) = refusals.entry(rule.line()).or_insert((rule, Vec::new()));
            tokens.push(token);
        }
    }
    refusals.values().filter_map(|(rule, tokens)| term(tokens, rule, &version)).collect()
}

fn named(agents: &[String]) -> impl Iterator<Item = AiToken> + '_ {
    tokens().filter(|token| agents.iter().any(|agent| is_agent(agent, token.name)))
}

/// One refusal for all of these crawlers; verbatim is as many of them as say what it means.
fn term(tokens: &[AiToken], rule: &Rule, version: &str) -> Option<Term> {
    let pattern = rule.pattern.clone()?;
    let mut lines = String::new();
    let mut uses: Vec<Use> = Vec::new();
    for token in tokens {
        if token.uses().iter().any(|atom| !uses.contains(atom)) {
            uses.extend(token.uses());
            lines += &format!("User-agent: {}\n", token.name);
        }
    }
    let verbatim = lines + &rule.line();
    let term = Term::new(Scheme::Robots, version, &verbatim, all(&uses, Value::Deny));
    (!uses.is_empty()).then(|| term.at(Scope::Path(pattern)).inferred())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str, path: &str, atom: Use) -> Value {
        read(text.as_bytes(), &UrlPath::new(path)).value(atom)
    }

    #[test]
    fn the_list_is_what_its_version_says() {
        assert_eq!(list_id(), "2026-11-20 51784707adfdea42");
        assert!(tokens().count() > 100);
        assert!(tokens().all(|token| token.trains || token.grounds));
        for (name, trains, grounds) in [
            ("GPTBot", true, false),
            ("ClaudeBot", true, false),
            ("CCBot", true, false),
            ("Google-Extended", true, true),
            ("ChatGPT-User", false, true),
        ] {
            assert!(tokens().any(|token| token == AiToken { name, trains, grounds }), "{name}");
        }
    }

    #[test]
    fn a_refused_crawler_is_an_inferred_refusal() {
        let text = "User-agent: GPTBot\nUser-agent: CCBot\nDisallow: /art/\nAllow: /art/free/\n";
        assert_eq!(value(text, "/art/a.png", Use::TrainGenerative), Value::Deny);
        assert_eq!(value(text, "/art/free/a.png", Use::TrainGenerative), Value::Unset);
        assert_eq!(value(text, "/", Use::TrainOther), Value::Unset);
        assert_eq!(value(text, "/art/a.png", Use::Ground), Value::Unset);
        let found = read(text.as_bytes(), &UrlPath::new("/art/a.png"));
        assert!(found.terms()[0].inferred);
        let verbatim = found.terms()[0].verbatim(Scheme::Robots);
        assert_eq!(verbatim, Some("User-agent: CCBot\nDisallow: /art/"));
        let robots = Robots::parse(text.as_bytes()).expect("a file");
        assert_eq!(terms(&robots).map(|terms| terms.len()), Ok(1));
    }

    #[test]
    fn one_refusing_crawler_is_enough_and_star_is_none() {
        let text = "User-agent: *\nDisallow: /\n\nUser-agent: GPTBot\nAllow: /\n";
        assert_eq!(value(text, "/a", Use::TrainGenerative), Value::Unset);
        let both = format!("{text}\nUser-agent: Google-Extended/1.0\nDisallow: /\n");
        assert_eq!(value(&both, "/a", Use::TrainGenerative), Value::Deny);
        assert_eq!(value(&both, "/a", Use::Ground), Value::Deny);
        assert_eq!(value(&both, "/a", Use::Index), Value::Unset);
    }

    #[test]
    fn too_long_a_file_refuses_everything() {
        let text = "#".repeat(protocol::limits::ROBOTS_BYTES_MAX + 1);
        assert_eq!(value(&text, "/", Use::Archive), Value::Deny);
    }
}
