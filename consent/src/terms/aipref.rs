//! AIPREF: `Content-Usage` in HTTP (draft-ietf-aipref-attach-05 section 2) and in robots.txt
//! (section 3), in the format of draft-ietf-aipref-vocab-07 section 6.
//!
//! `train-ai` has meant three things: all training (vocab -02, -03), making foundation models
//! (-04, -05), making generative models (-06, -07). Nothing in a field tells which, so a `n` of
//! unknown version refuses all of them and a `y` permits what all of them permit; words that older
//! drafts had and later ones dropped count as `n` only.
//!
//! Unknown words, parameters and values that are neither `y` nor `n` say nothing, as the draft
//! demands. A field that is no dictionary is "unknown" to the draft and unreadable here: the item is
//! excluded, for a slip of the pen in a refusal is a refusal.
//!
//! Invariants: of several values the strictest counts (vocab-07, combining). What it is not: the
//! HTTP header's transport; several header lines are to be joined by commas before.

use sfv::{BareItem, Dictionary, ListEntry, Parser};

use protocol::limits::HEADER_BYTES_MAX;

use super::found::{Fault, Found, bounded};
use super::pattern::UrlPath;
use super::robots::{Robots, Rule, RuleKind};
use super::scheme::Scheme;
use super::term::{Scope, Term, all};
use crate::use_atom::{Use, Value};

/// Which draft of the vocabulary a field was written by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Vocabulary {
    /// -02 or -03.
    AllTraining,
    /// -04 or -05.
    FoundationModels,
    /// -06 or -07.
    Generative,
    /// Nobody said.
    #[default]
    Unknown,
}

impl Vocabulary {
    const fn as_str(self) -> &'static str {
        match self {
            Self::AllTraining => "vocab-03",
            Self::FoundationModels => "vocab-05",
            Self::Generative => "vocab-07",
            Self::Unknown => "unknown",
        }
    }

    /// The uses that `n` and that `y` speak of for a word.
    const fn uses(self, word: &str) -> (&'static [Use], &'static [Use]) {
        const GENERATIVE: &[Use] = &[Use::TrainGenerative];
        const ALL_KINDS: &[Use] =
            &[Use::TrainGenerative, Use::TrainOther, Use::Mine, Use::Ground, Use::Index];
        let older = matches!(self, Self::Unknown | Self::AllTraining | Self::FoundationModels);
        match (word.as_bytes(), self) {
            (b"train-ai", Self::AllTraining) => (&Use::TRAINING, &Use::TRAINING),
            (b"train-ai", Self::Generative) => (GENERATIVE, GENERATIVE),
            (b"train-ai", _) => (&Use::TRAINING, GENERATIVE),
            (b"search", _) => (&[Use::Index], &[Use::Index]),
            // Of older drafts: -00 and -01, then -02 and -03, then -04.
            (b"train-genai" | b"genai", _) if older => (GENERATIVE, &[]),
            (b"ai", _) if older => (&Use::TRAINING, &[]),
            (b"tdm", _) if older => (ALL_KINDS, &[]),
            (b"all" | b"bots", _) if older => (&Use::ALL, &[]),
            (b"inference" | b"ai-use" | b"ai-output", _) if older => (&[Use::Ground], &[]),
            _ => (&[], &[]),
        }
    }
}

/// Reads the value of a `Content-Usage` header field.
pub fn read(field: &[u8], vocabulary: Vocabulary) -> Found {
    Found::of(Scheme::Aipref, preference(field, vocabulary).map(|term| vec![term]))
}

/// Reads what the `Content-Usage` lines of a robots.txt say of the resource at `path` to a crawler
/// with this token. Where it may not be crawled the draft has no preference; a refusal still counts
/// here.
pub fn read_robots(bytes: &[u8], token: &str, path: &UrlPath, vocabulary: Vocabulary) -> Found {
    let terms = Robots::parse(bytes).and_then(|robots| {
        let rules = robots.about_use(token, RuleKind::ContentUsage, path);
        let crawled = robots.allows(token, path);
        rules.iter().map(|rule| rule_term(rule, vocabulary, crawled)).collect()
    });
    Found::of(Scheme::Aipref, terms)
}

/// Every `Content-Usage` line of a robots.txt for a crawler with this token. What is permitted where
/// some of the site may not be crawled is left out.
pub fn terms(robots: &Robots, token: &str, vocabulary: Vocabulary) -> Result<Vec<Term>, Fault> {
    let rules = robots.rules_for(token);
    let is_closed = |rule: &&Rule| rule.kind == RuleKind::Disallow && rule.pattern.is_some();
    let crawled = !rules.iter().any(is_closed);
    let lines = rules.iter().filter(|rule| rule.kind == RuleKind::ContentUsage);
    lines.map(|rule| rule_term(rule, vocabulary, crawled)).collect()
}

fn rule_term(rule: &Rule, vocabulary: Vocabulary, crawled: bool) -> Result<Term, Fault> {
    let said = preference(rule.said().as_bytes(), vocabulary)?;
    let rules = said.rules.into_iter().filter(|(_, value)| crawled || value.restricts());
    let term = Term::new(Scheme::Aipref, vocabulary.as_str(), &rule.value, rules);
    Ok(term.at(rule.pattern.clone().map_or(Scope::Whole, Scope::Path)))
}

fn preference(field: &[u8], vocabulary: Vocabulary) -> Result<Term, Fault> {
    bounded(field, HEADER_BYTES_MAX)?;
    let text = String::from_utf8_lossy(field);
    let said = dictionary(field)?;
    let mut rules = Vec::new();
    for (word, entry) in &said {
        let (refused, permitted) = vocabulary.uses(word.as_str());
        match token(entry) {
            Some("n") => rules.extend(all(refused, Value::Deny)),
            Some("y") => rules.extend(all(permitted, Value::Allow)),
            _ => (),
        }
    }
    Ok(Term::new(Scheme::Aipref, vocabulary.as_str(), text.trim(), rules))
}

/// RFC 9651, section 4.2.2.
fn dictionary(field: &[u8]) -> Result<Dictionary, Fault> {
    Parser::new(field)
        .parse()
        .map_err(|error: sfv::Error| Fault::malformed("a structured dictionary", error))
}

fn token(entry: &ListEntry) -> Option<&str> {
    match entry {
        ListEntry::Item(item) => match &item.bare_item {
            BareItem::Token(token) => Some(token.as_str()),
            _ => None,
        },
        ListEntry::InnerList(_) => None,
    }
}

#[cfg(test)]
#[path = "tests/aipref.rs"]
mod tests;
