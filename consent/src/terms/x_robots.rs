//! `X-Robots-Tag` and `<meta name="robots">`: `noai` and `noimageai` (DeviantArt's), and `noindex`.
//!
//! A name before a colon makes what follows it, up to the next name, a word to one crawler. `noai`
//! to a crawler that is not ours is still somebody's no to models, so it counts, as inferred;
//! `noindex` counts only for everybody or for us. Other words say nothing, as crawlers' documents
//! have it, and there is no word that permits.
//!
//! Invariants: words without regard to case; values of several header lines are to be joined by
//! commas before. What it is not: robots.txt.

use protocol::limits::HEADER_BYTES_MAX;

use super::ai_token;
use super::found::{Fault, Found, bounded};
use super::html;
use super::scheme::Scheme;
use super::term::{Scope, Term, all};
use crate::use_atom::{Use, Value};

const VERSION: &str = "deviantart-2022";
/// Words that have a value of their own after a colon.
const VALUED: [&str; 5] = [
    "unavailable_after",
    "max-snippet",
    "max-image-preview",
    "max-video-preview",
    "indexifembedded",
];

/// Reads the value of the header, as a crawler with this token.
pub fn read(field: &[u8], token: &str) -> Found {
    let terms = bounded(field, HEADER_BYTES_MAX).map(|()| {
        let text = String::from_utf8_lossy(field);
        words(&text, None, token).map(|rule| rule.term(&text)).collect()
    });
    Found::of(Scheme::XRobots, terms)
}

/// Reads the elements of a page for robots, for models' crawlers and for this token.
pub fn read_page(page: &[u8], token: &str) -> Found {
    Found::of(Scheme::XRobots, page_terms(page, token))
}

fn page_terms(page: &[u8], token: &str) -> Result<Vec<Term>, Fault> {
    let mut terms = Vec::new();
    for meta in html::metas(page)? {
        let agent = match meta.name.as_str() {
            "robots" => None,
            name if name == token.to_ascii_lowercase() => Some(name),
            name if ai_token::tokens().any(|t| t.name.eq_ignore_ascii_case(name)) => Some(name),
            _ => continue,
        };
        terms.extend(words(&meta.content, agent, token).map(|rule| rule.term(&meta.content)));
    }
    Ok(terms)
}

#[derive(Clone, Copy)]
struct Word {
    uses: &'static [Use],
    images: bool,
    inferred: bool,
}

impl Word {
    fn term(self, verbatim: &str) -> Term {
        let scope = if self.images { Scope::Media("image") } else { Scope::Whole };
        let rules = all(self.uses, Value::Deny);
        let term = Term::new(Scheme::XRobots, VERSION, verbatim.trim(), rules).at(scope);
        if self.inferred { term.inferred() } else { term }
    }
}

fn words<'a>(
    text: &'a str,
    agent: Option<&'a str>,
    token: &'a str,
) -> impl Iterator<Item = Word> + 'a {
    let mut agent = agent;
    text.split([',', '\n']).filter_map(move |part| {
        let mut word = part.trim();
        while let Some((name, rest)) = word.split_once(':') {
            let name = name.trim();
            if VALUED.iter().any(|valued| name.eq_ignore_ascii_case(valued)) {
                return None;
            }
            agent = Some(name);
            word = rest.trim();
        }
        let ours = agent.is_none_or(|agent| agent == "*" || agent.eq_ignore_ascii_case(token));
        match word.to_ascii_lowercase().as_str() {
            "noai" => Some(Word { uses: &Use::TRAINING, images: false, inferred: !ours }),
            "noimageai" => Some(Word { uses: &Use::TRAINING, images: true, inferred: !ours }),
            "noindex" | "none" if ours => {
                Some(Word { uses: &[Use::Index], images: false, inferred: false })
            }
            _ => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(field: &str) -> Value {
        read(field.as_bytes(), "spawningbot").value(Use::TrainGenerative)
    }

    /// The inputs of Spawning-Inc/datadiligence `tests/test_xrobots_header.py` (MIT).
    #[test]
    fn spawning_s_cases() {
        for field in [
            "noai",
            "noimageai",
            "other, noai",
            "spawningbot: noai",
            "spawningbot: noimageai",
            "other, spawningbot: noai",
            "other, spawningbot:noai",
            "spawningbot:other, spawningbot: noai",
            "demobot: noai, examplebot: noai, spawningbot: all",
        ] {
            assert_eq!(value(field), Value::Deny, "{field}");
        }
        for field in [
            "",
            "other",
            "noindex",
            "other, noindex",
            "spawningbot: all",
            "spawningbot: other",
            "other, spawningbot: all",
            ":,",
            ":, :, ,;: -:: ",
        ] {
            assert_eq!(value(field), Value::Unset, "{field}");
        }
    }

    /// What datadiligence lets pass: other case, a name that goes on, a no to somebody else.
    #[test]
    fn what_others_let_pass() {
        for field in ["NoAI", "spawningbot: noindex, noai", "GPTBot: noai", "*: noai", "x: y: noai"]
        {
            assert_eq!(value(field), Value::Deny, "{field}");
        }
        assert!(read(b"GPTBot: noai", "accord").terms()[0].inferred);
        assert_eq!(read(b"googlebot: noindex", "accord"), Found::Nothing);
        assert_eq!(read(b"none", "accord").value(Use::Index), Value::Deny);
        let dated = b"unavailable_after: 25 Jun 2030 15:00:00 PST, noai";
        assert_eq!(read(dated, "accord").value(Use::TrainOther), Value::Deny);
        assert!(read(&vec![b','; HEADER_BYTES_MAX + 1], "accord").excludes(Use::Evaluate));
    }

    #[test]
    fn pages_speak_too() {
        let page =
            b"<meta name=robots content='index, NOIMAGEAI'><meta name=viewport content=noai>";
        let found = read_page(page, "accord");
        assert_eq!(found.terms().len(), 1);
        assert_eq!(found.terms()[0].scope, Scope::Media("image"));
        let page = b"<meta name=gptbot content=noai>";
        assert_eq!(read_page(page, "accord").value(Use::TrainOther), Value::Deny);
    }
}
