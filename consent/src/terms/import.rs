//! Outside terms as statements about the places that they speak of.
//!
//! The law: a restriction never becomes narrower and a permission never wider. So a restriction that no
//! place says as narrowly is said of the whole site; and a permission is left out where it has no end,
//! where no place says it as narrowly, and where another term of its scheme, of another part of the
//! site, does not permit the same.
//!
//! Invariants: each statement names the scheme and version of its terms, whose text is to be its
//! remark. What it is not: a reader of documents, or proof that whoever says this may speak for the
//! site.

use std::collections::{BTreeMap, BTreeSet};

use protocol::limits::ORIGIN_TERM_BYTES_MAX;

use super::place::{Place, PlaceError};
use super::term::{Scope, Term};
use crate::statement::{Origin, Statement};
use crate::subject::Subject;
use crate::use_atom::{Use, Value};

/// Letters of an extension that are spelt in all ways: sixteen of them.
const LETTERS_MAX: usize = 4;

/// The site whose documents the terms stand in: a host, with a port unless it is a usual one.
#[derive(Debug, Clone)]
pub struct Site {
    /// With a scheme and without a path.
    base: String,
    whole: Place,
}

/// A statement, and the text of the terms that it is made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// What is said.
    pub statement: Statement,
    /// The terms, a line or more each.
    pub text: String,
}

/// What terms say in statements.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Imports {
    /// The statements.
    pub said: Vec<Imported>,
    /// How many terms permit something that is not among them.
    pub left_out: usize,
}

/// Why terms cannot be said.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImportError {
    /// A term names a place that is not of the site.
    #[error("it speaks of {0}, which is not of the site")]
    Outside(Place),
    /// A term speaks of a site, and nobody said of which.
    #[error("it speaks of a site: say of which")]
    NoSite,
}

impl Site {
    /// The site of a URL, or of a host name.
    pub fn parse(url: &str) -> Result<Self, PlaceError> {
        let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
        let scheme = url.split_once("://").map_or("https", |(scheme, _)| scheme);
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let base = format!("{scheme}://{authority}");
        let whole = Place::parse(&format!("{base}/"))?;
        Ok(Self { base, whole })
    }

    /// All of it.
    pub const fn whole(&self) -> &Place {
        &self.whole
    }

    fn at(&self, pattern: &str) -> Option<Place> {
        Place::parse(&format!("{}{pattern}", self.base)).ok()
    }

    /// The places that are at least what a term speaks of, for a restriction.
    fn around(&self, scope: &Scope) -> Vec<Place> {
        let places: Option<Vec<Place>> = match scope {
            Scope::Path(pattern) => self.at(&pattern.to_string()).map(|place| vec![place]),
            Scope::Extension(extension) => spellings(extension)
                .and_then(|all| all.iter().map(|one| self.at(&format!("/*.{one}"))).collect()),
            Scope::Whole | Scope::Media(_) | Scope::Place(_) => None,
        };
        places.unwrap_or_else(|| vec![self.whole.clone()])
    }

    /// The place that is at most what a term speaks of, for a permission.
    fn within(&self, scope: &Scope) -> Option<Place> {
        match scope {
            Scope::Whole => Some(self.whole.clone()),
            Scope::Path(pattern) => self.at(&pattern.to_string()),
            Scope::Extension(extension) => self.at(&format!("/*.{extension}$")),
            Scope::Media(_) | Scope::Place(_) => None,
        }
    }
}

/// What terms of one document or of several say. `site` is where terms without a place of their own
/// speak of; permissions end at `not_after_ms` and are left out without it.
pub fn statements(
    terms: &[Term],
    site: Option<&Site>,
    not_after_ms: Option<u64>,
) -> Result<Imports, ImportError> {
    let (mut groups, mut left_out) = (Vec::<Group>::new(), 0);
    let narrowed = Narrowed::of(terms);
    for term in terms {
        let refused = rules(term, Value::restricts);
        if !refused.is_empty() {
            add(&mut groups, term, refused, around(term, site)?);
        }
        let permitted = rules(term, |value| value == Value::Allow);
        let said: Vec<(Use, Value)> =
            permitted.iter().filter(|(about, _)| !narrowed.is(term, *about)).copied().collect();
        let place = within(term, site)?.filter(|_| not_after_ms.is_some() && !said.is_empty());
        left_out += usize::from(!permitted.is_empty() && (place.is_none() || said != permitted));
        if let Some(place) = place {
            add(&mut groups, term, said, vec![place]);
        }
    }
    let said = groups.into_iter().flat_map(|group| group.said(not_after_ms)).collect();
    Ok(Imports { said, left_out })
}

fn rules(term: &Term, is_meant: impl Fn(Value) -> bool) -> Vec<(Use, Value)> {
    term.rules.iter().filter(|(_, value)| is_meant(*value)).copied().collect()
}

/// For each scheme and use two parts of the site at most of which some term does not permit it.
struct Narrowed<'t>(BTreeMap<(&'t str, Use), Vec<&'t Scope>>);

impl<'t> Narrowed<'t> {
    fn of(terms: &'t [Term]) -> Self {
        let mut narrowed: BTreeMap<(&str, Use), Vec<&Scope>> = BTreeMap::new();
        for term in terms {
            for about in Use::ALL.into_iter().filter(|about| term.value(*about) != Value::Allow) {
                let parts = narrowed.entry((term.origin.scheme.as_str(), about)).or_default();
                if parts.len() < 2 && !parts.contains(&&term.scope) {
                    parts.push(&term.scope);
                }
            }
        }
        Self(narrowed)
    }

    /// Whether a term of another part of the site may take back what this one permits.
    fn is(&self, term: &Term, about: Use) -> bool {
        let parts = self.0.get(&(term.origin.scheme.as_str(), about));
        parts.is_some_and(|parts| parts.iter().any(|part| **part != term.scope))
    }
}

fn around(term: &Term, site: Option<&Site>) -> Result<Vec<Place>, ImportError> {
    match &term.scope {
        Scope::Place(place) => Ok(vec![named(place, site)?.clone()]),
        scope => Ok(site.ok_or(ImportError::NoSite)?.around(scope)),
    }
}

fn within(term: &Term, site: Option<&Site>) -> Result<Option<Place>, ImportError> {
    match &term.scope {
        Scope::Place(place) => Ok(Some(named(place, site)?.clone())),
        scope => Ok(site.ok_or(ImportError::NoSite)?.within(scope)),
    }
}

/// A place that a term names itself: of the site, if one is meant.
fn named<'p>(place: &'p Place, site: Option<&Site>) -> Result<&'p Place, ImportError> {
    match site {
        Some(site) if !site.whole.contains(place) => Err(ImportError::Outside(place.clone())),
        _ => Ok(place),
    }
}

/// Terms that say the same of several places.
struct Group {
    origin: Origin,
    rules: Vec<(Use, Value)>,
    places: BTreeSet<Place>,
    texts: Vec<String>,
    bytes: usize,
}

impl Group {
    fn said(self, not_after_ms: Option<u64>) -> impl Iterator<Item = Imported> {
        let gives = self.rules.iter().any(|(_, value)| *value == Value::Allow);
        let statement = Statement {
            rules: self.rules,
            not_after_ms: not_after_ms.filter(|_| gives),
            origin: Some(self.origin),
            ..Statement::deny(&[])
        };
        let text = self.texts.join("\n");
        let statements = statement.over_subjects(self.places.into_iter().map(Subject::Place));
        statements.into_iter().map(move |statement| Imported { statement, text: text.clone() })
    }
}

fn add(groups: &mut Vec<Group>, term: &Term, rules: Vec<(Use, Value)>, places: Vec<Place>) {
    let line = term.text.len() + 1;
    let says = |group: &&mut Group| group.origin == term.origin && group.rules == rules;
    let newest = groups.iter_mut().rev().find(says).filter(|group| {
        group.texts.contains(&term.text) || group.bytes + line <= ORIGIN_TERM_BYTES_MAX
    });
    if let Some(group) = newest {
        group.places.extend(places);
        if !group.texts.contains(&term.text) {
            group.texts.push(term.text.clone());
            group.bytes += line;
        }
        return;
    }
    let (origin, texts) = (term.origin.clone(), vec![term.text.clone()]);
    groups.push(Group { origin, rules, places: places.into_iter().collect(), texts, bytes: line });
}

/// An extension in all mixtures of small and capital letters, unless they are too many.
fn spellings(extension: &str) -> Option<Vec<String>> {
    let letters = extension.bytes().filter(u8::is_ascii_alphabetic).count();
    let mut all = vec![String::new()];
    for letter in extension.chars() {
        let (small, capital) = (letter.to_ascii_lowercase(), letter.to_ascii_uppercase());
        let longer = |one: &String| [small, capital].map(|letter| format!("{one}{letter}"));
        all = match small == capital {
            true => all.iter().map(|one| format!("{one}{letter}")).collect(),
            false if letters > LETTERS_MAX => return None,
            false => all.iter().flat_map(longer).collect(),
        };
    }
    Some(all)
}

#[cfg(test)]
#[path = "tests/import.rs"]
mod tests;
