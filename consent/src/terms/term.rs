//! One outside term, read: what it says of which uses, and of what part of what it was found on.
//!
//! Invariants: rules are sorted with one for each use and never say unset, as a
//! [`crate::Statement`]'s; the term is kept verbatim, or its hash where it is longer than a remark may
//! be. What it is not: a statement. It has no subjects, no author and no standing.

use std::collections::BTreeMap;

use protocol::limits::{ORIGIN_NAME_BYTES_MAX, ORIGIN_TERM_BYTES_MAX};

use super::pattern::{PathPattern, UrlPath};
use super::place::Place;
use super::scheme::Scheme;
use crate::statement::Origin;
use crate::use_atom::{Use, Value};

/// What part of what it was found on a term speaks of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// All of it: the message, the page, the picture, the host.
    Whole,
    /// Paths of the host.
    Path(PathPattern),
    /// Files with this extension, in lower case and without the dot.
    Extension(String),
    /// Media of one kind, such as `image`, on the page.
    Media(&'static str),
    /// A place that the term names itself: a URL, an account or a repository.
    Place(Place),
}

impl Scope {
    /// Whether a resource at this path of the host is meant. Media count: a path does not show
    /// what it holds. A named place does not: it has a host, see [`Place::covers`].
    pub fn covers_path(&self, path: &UrlPath) -> bool {
        match self {
            Self::Whole | Self::Media(_) => true,
            Self::Path(pattern) => pattern.matches(path),
            Self::Extension(extension) => path.extension().as_deref() == Some(extension),
            Self::Place(_) => false,
        }
    }
}

/// One outside term.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Term {
    /// What it says of each use, sorted. None for a line that only takes back a wider one.
    pub rules: Vec<(Use, Value)>,
    /// Of what.
    pub scope: Scope,
    /// Where terms can be agreed on.
    pub policy_url: Option<String>,
    /// In which scheme it was found.
    pub origin: Origin,
    /// The term as it was found, or its hash where it is longer than a remark.
    pub text: String,
    /// Whether the wish is only inferred: a crawler was turned away and no use was spoken of.
    pub inferred: bool,
    /// What else it says, verbatim: purposes, users, constraints.
    pub qualifiers: Vec<String>,
}

impl Term {
    /// A term of all that it was found on, nothing inferred. Of two values for one use the stricter
    /// stays.
    pub(super) fn new(
        scheme: Scheme,
        version: &str,
        verbatim: &str,
        rules: impl IntoIterator<Item = (Use, Value)>,
    ) -> Self {
        Self {
            rules: joined(rules).into_iter().collect(),
            scope: Scope::Whole,
            policy_url: None,
            origin: origin(scheme, version),
            text: kept(verbatim),
            inferred: false,
            qualifiers: Vec::new(),
        }
    }

    pub(super) fn at(mut self, scope: Scope) -> Self {
        self.scope = scope;
        self
    }

    pub(super) const fn inferred(mut self) -> Self {
        self.inferred = true;
        self
    }

    pub(super) fn qualified(mut self, qualifiers: Vec<String>) -> Self {
        self.qualifiers = qualifiers;
        self
    }

    pub(super) fn under(mut self, policy_url: Option<String>) -> Self {
        self.policy_url = policy_url;
        self
    }

    /// What it says of one use.
    pub fn value(&self, atom: Use) -> Value {
        let rule = self.rules.iter().find(|(ruled, _)| *ruled == atom);
        rule.map_or(Value::Unset, |(_, value)| *value)
    }

    /// The term as it was found, if it was found in `scheme` and is kept whole.
    pub fn verbatim(&self, scheme: Scheme) -> Option<&str> {
        let kept = self.origin.scheme == scheme.as_str() && !self.text.starts_with(HASHED);
        kept.then_some(self.text.as_str())
    }
}

const HASHED: &str = "blake3:";

fn kept(verbatim: &str) -> String {
    if verbatim.len() > ORIGIN_TERM_BYTES_MAX || verbatim.starts_with(HASHED) {
        format!("{HASHED}{}", blake3::hash(verbatim.as_bytes()).to_hex())
    } else {
        verbatim.to_owned()
    }
}

fn origin(scheme: Scheme, version: &str) -> Origin {
    let mut end = version.len().min(ORIGIN_NAME_BYTES_MAX);
    while !version.is_char_boundary(end) {
        end -= 1;
    }
    Origin { scheme: scheme.as_str().to_owned(), version: version[..end].to_owned() }
}

/// The strictest value for each use.
pub(super) fn joined(rules: impl IntoIterator<Item = (Use, Value)>) -> BTreeMap<Use, Value> {
    let mut strictest = BTreeMap::new();
    for (atom, value) in rules {
        if value != Value::Unset {
            let entry: &mut Value = strictest.entry(atom).or_default();
            *entry = entry.join(value);
        }
    }
    strictest
}

/// One value for several uses.
pub(super) fn all(uses: &[Use], value: Value) -> impl Iterator<Item = (Use, Value)> {
    uses.iter().map(move |atom| (*atom, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_term_fits_a_statement() {
        let rules =
            [(Use::Mine, Value::Allow), (Use::Index, Value::Unset), (Use::Mine, Value::Deny)];
        let long = "ü".repeat(ORIGIN_TERM_BYTES_MAX);
        let term = Term::new(Scheme::Rsl, &long, &long, rules);
        assert_eq!(term.rules, [(Use::Mine, Value::Deny)]);
        assert_eq!((term.value(Use::Mine), term.value(Use::Index)), (Value::Deny, Value::Unset));
        assert_eq!(term.verbatim(Scheme::Rsl), None);
        let statement = crate::Statement {
            rules: term.rules,
            origin: Some(term.origin),
            ..crate::Statement::deny(&[])
        };
        let work = protocol::ContentId::of(b"a work");
        assert!(statement.over([work]).iter().all(|statement| statement.check().is_ok()));
        let short = Term::new(Scheme::Rsl, "1", "x", rules);
        assert_eq!((short.verbatim(Scheme::Rsl), short.verbatim(Scheme::Iptc)), (Some("x"), None));
    }
}
