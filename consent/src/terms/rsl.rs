//! Really Simple Licensing 1.0 (rslstandard.org): an XML document of contents and their licences.
//!
//! A prohibited use is refused. A permitted use is permitted only where nothing stands in the way:
//! no payment or `free` alone, no licence server, no condition on users, countries or anything else;
//! otherwise it is constrained. A licence that names no use constrains them all if it asks for
//! anything, and says nothing if it does not.
//!
//! A robots.txt names such documents in `License` lines; whoever has the one must bring the others.
//!
//! Invariants: words of drafts before 1.0 are known too; a use that is not known makes the document
//! unreadable, permitted or prohibited, and so does a document type. What it is not: a buyer of
//! licences. The document is kept, or its hash where it is long.

use super::found::{Fault, Found};
use super::pattern::PathPattern;
use super::place::{Address, Place};
use super::scheme::Scheme;
use super::term::{Scope, Term, all};
use super::xml::{self, Element};
use crate::use_atom::{Use, Value};

const VERSION: &str = "1.0";
const NAMESPACE: &str = "rslstandard.org/rsl";
const MEANT: [Use; 5] = [Use::TrainGenerative, Use::TrainOther, Use::Mine, Use::Ground, Use::Index];

/// Reads every content of a document.
pub fn read(bytes: &[u8]) -> Found {
    Found::of(Scheme::Rsl, terms(bytes))
}

/// What a document that was found on the host of `address` says of the resource there. All contents
/// that match count, the strictest first: a document that speaks twice of one asset is not RSL.
pub fn read_for(bytes: &[u8], address: &Address) -> Found {
    of_address(&read(bytes), address)
}

/// As [`read_for`], of a document that was read once for many addresses.
pub fn of_address(document: &Found, address: &Address) -> Found {
    if document.fault().is_some() {
        return document.clone();
    }
    let covers = |term: &&Term| match &term.scope {
        Scope::Place(place) => place.covers_address(address),
        scope => scope.covers_path(address.path()),
    };
    Found::of(Scheme::Rsl, Ok(document.terms().iter().filter(covers).cloned().collect()))
}

/// The documents that a robots.txt names, each once, in order.
pub fn named_in_robots(bytes: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(bytes);
    let mut named: Vec<String> = Vec::new();
    for line in text.trim_start_matches('\u{feff}').split(['\r', '\n']) {
        let Some((name, value)) = line.split_once(':') else { continue };
        let url = value.split_whitespace().next().unwrap_or_default();
        let is_licence = name.trim().eq_ignore_ascii_case("license");
        if is_licence && !url.is_empty() && !named.iter().any(|known| known == url) {
            named.push(url.to_owned());
        }
    }
    named
}

/// The uses that a prohibition and that a permission of this word speak of.
fn uses(word: &str) -> Result<(&'static [Use], &'static [Use]), Fault> {
    const AI: &[Use] = &[Use::TrainGenerative, Use::TrainOther, Use::Ground];
    const AI_AND_INDEX: &[Use] = &[Use::TrainGenerative, Use::TrainOther, Use::Ground, Use::Index];
    Ok(match word {
        "all" => (&Use::ALL, &MEANT),
        "ai-all" => (AI_AND_INDEX, AI),
        "ai-train" | "train-ai" => (&Use::TRAINING, &Use::TRAINING),
        "train-genai" => (&[Use::TrainGenerative], &[Use::TrainGenerative]),
        "ai-input" | "ai-use" | "ai-summarize" => (&[Use::Ground], &[Use::Ground]),
        // An index for models is less than any index.
        "ai-index" => (&[Use::Index], &[]),
        "search" => (&[Use::Index], &[Use::Index]),
        other => return Err(Fault::value("an RSL usage", other)),
    })
}

fn terms(bytes: &[u8]) -> Result<Vec<Term>, Fault> {
    let elements = xml::elements(bytes)?;
    if !is(&elements[0], "rsl") {
        return Err(Fault::malformed("RSL", "its root is another element"));
    }
    let document = String::from_utf8_lossy(bytes);
    let mut terms = Vec::new();
    for (at, content) in elements.iter().enumerate().filter(|(_, element)| is(element, "content")) {
        let scope = scope(content.attribute("url").unwrap_or_default().trim())?;
        for (licence, _) in children(&elements, at).filter(|(_, child)| is(child, "license")) {
            terms.push(term(&elements, licence, content, &document)?.at(scope.clone()));
        }
    }
    Ok(terms)
}

fn is(element: &Element, local: &str) -> bool {
    let namespace = element.name.namespace.trim_end_matches('/');
    let namespace =
        namespace.strip_prefix("https://").or_else(|| namespace.strip_prefix("http://"));
    namespace == Some(NAMESPACE) && element.name.local == local
}

fn children(elements: &[Element], of: usize) -> impl Iterator<Item = (usize, &Element)> {
    elements.iter().enumerate().skip(of + 1).filter(move |(_, child)| child.parent == Some(of))
}

fn scope(url: &str) -> Result<Scope, Fault> {
    match url {
        "/" | "/*" => Ok(Scope::Whole),
        path if path.starts_with('/') => Ok(Scope::Path(PathPattern::new(path))),
        url => Place::parse(url).map(Scope::Place).map_err(|_| Fault::value("an RSL url", url)),
    }
}

fn term(
    elements: &[Element],
    licence: usize,
    content: &Element,
    document: &str,
) -> Result<Term, Fault> {
    let (mut permitted, mut rules, mut qualifiers) = (Vec::new(), Vec::new(), Vec::new());
    let (mut names_uses, mut conditions) = (false, false);
    let mut policy_url = None;
    for (at, child) in children(elements, licence) {
        let kind = child.attribute("type").unwrap_or_default();
        let words =
            || child.text.split(|c: char| c == ',' || c.is_whitespace()).filter(|w| !w.is_empty());
        if is(child, "prohibits") && kind == "usage" {
            names_uses = true;
            for word in words() {
                rules.extend(all(uses(word)?.0, Value::Deny));
            }
        } else if is(child, "permits") && kind == "usage" {
            names_uses = true;
            for word in words() {
                permitted.extend(uses(word)?.1);
            }
        } else {
            let free = is(child, "payment") && kind == "free";
            // Statements of law accompany a licence and ask for nothing.
            conditions |= !free && !is(child, "legal");
            qualifiers
                .push(format!("{} {kind} {}", child.name.local, child.text).trim().to_owned());
            let mut links = children(elements, at).filter(|(_, link)| link.text.contains("://"));
            policy_url = policy_url.or_else(|| links.next().map(|(_, link)| link.text.clone()));
        }
    }
    let server = content.attribute("server").map(str::to_owned);
    conditions |= server.is_some() || content.attribute("encrypted") == Some("true");
    if !names_uses && conditions {
        permitted.extend(MEANT);
    }
    let value = if conditions { Value::Constrained } else { Value::Allow };
    rules.extend(all(&permitted, value));
    let term = Term::new(Scheme::Rsl, VERSION, document.trim(), rules);
    Ok(term.under(policy_url.or(server)).qualified(qualifiers))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn licence(inner: &str) -> String {
        format!(
            "<rsl xmlns=\"https://rslstandard.org/rsl\"><content url=\"/\"><license>{inner}</license>\
             </content></rsl>"
        )
    }

    fn values(inner: &str) -> [Value; 4] {
        let found = read(licence(inner).as_bytes());
        [Use::TrainGenerative, Use::Ground, Use::Index, Use::Archive].map(|atom| found.value(atom))
    }

    #[test]
    fn permits_prohibits_and_payment() {
        use Value::{Allow, Constrained, Deny, Unset};
        for (inner, expected) in [
            ("<permits type='usage'>ai-train</permits>", [Allow, Unset, Unset, Unset]),
            (
                "<permits type='usage'>all</permits><payment type='free'/>",
                [Allow, Allow, Allow, Unset],
            ),
            ("<prohibits type='usage'>all</prohibits>", [Deny; 4]),
            (
                "<permits type='usage'>ai-all</permits><prohibits type='usage'>ai-train</prohibits>",
                [Deny, Allow, Unset, Unset],
            ),
            (
                "<permits type='usage'>train-ai</permits><payment type='subscription'>\
              <custom>https://example.org/form</custom></payment>",
                [Constrained, Unset, Unset, Unset],
            ),
            (
                "<permits type='usage'>search</permits><permits type='user'>non-commercial</permits>",
                [Unset, Unset, Constrained, Unset],
            ),
            ("<payment type='attribution'/>", [Constrained, Constrained, Constrained, Unset]),
            ("<payment type='free'/>", [Unset; 4]),
            ("<permits type='usage'>ai-index</permits>", [Unset; 4]),
            ("<prohibits type='usage'>ai-index, ai-input</prohibits>", [Unset, Deny, Deny, Unset]),
            ("<permits type='usage'>telepathy</permits>", [Deny; 4]),
            ("<prohibits type='usage'>&e;</prohibits>", [Deny; 4]),
        ] {
            assert_eq!(values(inner), expected, "{inner}");
        }
        let paid =
            licence("<payment type='crawl'><custom>https://example.org/form</custom></payment>");
        let found = read(paid.as_bytes());
        assert_eq!(found.terms()[0].policy_url.as_deref(), Some("https://example.org/form"));
        assert_eq!(found.terms()[0].verbatim(Scheme::Rsl), Some(paid.as_str()));
        assert_eq!(found.terms()[0].qualifiers, ["payment crawl"]);
    }

    #[test]
    fn a_robots_txt_names_documents() {
        let robots = b"\xef\xbb\xbfLicense: https://example.org/rsl.xml # all\r\nUser-agent: *\r\n\
            license:https://example.org/other.xml\nAllow: /\n LICENSE : https://example.org/rsl.xml\n\
            License:\n# License: https://example.org/none.xml\nLicensed: x";
        let named = ["https://example.org/rsl.xml", "https://example.org/other.xml"];
        assert_eq!(named_in_robots(robots), named);
        assert_eq!(named_in_robots(b"\xff: \xff"), [""; 0]);
    }

    #[test]
    fn places_and_servers() {
        let text = "<rsl xmlns='https://rslstandard.org/rsl'>\
            <content url='https://example.org/a/*'><license><prohibits type='usage'>all</prohibits></license></content>\
            <content url='/b/' server='https://rsl.example'><license><permits type='usage'>search</permits>\
            <payment type='free'/></license></content></rsl>";
        let at = |url: &str| {
            read_for(text.as_bytes(), &Address::parse(url).expect(url)).value(Use::Index)
        };
        assert_eq!(at("https://example.org/a/x"), Value::Deny);
        assert_eq!(at("https://example.org/b/x"), Value::Constrained);
        assert_eq!(at("https://example.org/c"), Value::Unset);
        for broken in [
            "<rss/>",
            "",
            "<rsl/>",
            "<rsl xmlns='https://rslstandard.org/rsl'><content><license/></content></rsl>",
            "<!DOCTYPE rsl><rsl xmlns='https://rslstandard.org/rsl'/>",
        ] {
            assert!(read(broken.as_bytes()).excludes(Use::Evaluate), "{broken}");
        }
    }
}
