//! Path patterns of robots.txt (RFC 9309 section 2.2.3): a prefix, `*` for anything, `$` at the end.
//!
//! Invariants: matching takes time linear in pattern and path, whatever the pattern; pattern and
//! path are compared in one spelling. What it is not: a rule; which of several matching patterns
//! counts is each scheme's own affair (longest match, or first in sequence).

use std::fmt;

use super::percent;

/// A pattern in one spelling.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PathPattern {
    text: String,
}

/// A path and query in one spelling, ready to be matched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UrlPath {
    text: String,
}

impl UrlPath {
    /// The path and query of a URL, fragment left out; an empty one is `/`.
    pub fn new(path: &str) -> Self {
        let path = path.split('#').next().unwrap_or_default();
        Self { text: percent::path(path) }
    }

    /// Its one spelling.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Its last segment's extension in lower case, without the dot.
    pub fn extension(&self) -> Option<String> {
        let path = self.text.split('?').next().unwrap_or_default();
        let (_, extension) = path.rsplit('/').next().unwrap_or_default().rsplit_once('.')?;
        Some(extension.to_ascii_lowercase())
    }
}

impl PathPattern {
    /// The pattern that a line of a file holds, without the white space around it.
    pub fn new(text: &str) -> Self {
        Self { text: percent::pattern(text) }
    }

    /// The same places in the shortest form: `/a**b*` is `/a*b`, and `/a*$` is `/a`.
    #[must_use]
    pub fn shortest(&self) -> Self {
        let (body, anchored) = self.parts();
        let mut text = String::with_capacity(self.text.len());
        for letter in body.chars() {
            if letter != '*' || !text.ends_with('*') {
                text.push(letter);
            }
        }
        if text.ends_with('*') {
            text.pop();
        } else if anchored {
            text.push('$');
        }
        Self { text }
    }

    /// Whether `path` is one of its places.
    pub fn matches(&self, path: &UrlPath) -> bool {
        self.matches_text(&path.text)
    }

    /// How specific it is, in octets of its one spelling.
    pub fn octets(&self) -> usize {
        self.text.len()
    }

    /// Whether every place of `other` is certainly one of its own. Some true cases are missed:
    /// the wildcards of `other` are taken for letters.
    pub fn contains(&self, other: &Self) -> bool {
        let (body, anchored) = other.parts();
        if self.parts().1 && !anchored {
            return false;
        }
        self.matches_text(body)
    }

    /// What stands before the first wildcard, and whether that is all of it.
    pub fn head(&self) -> (&str, bool) {
        let (body, anchored) = self.parts();
        let head = body.split('*').next().unwrap_or_default();
        (head, anchored && head.len() == body.len())
    }

    fn parts(&self) -> (&str, bool) {
        self.text.strip_suffix('$').map_or((self.text.as_str(), false), |body| (body, true))
    }

    fn matches_text(&self, path: &str) -> bool {
        let (body, anchored) = self.parts();
        let mut parts = body.split('*').peekable();
        let Some(mut rest) = parts.next().and_then(|first| path.strip_prefix(first)) else {
            return false;
        };
        while let Some(part) = parts.next() {
            if anchored && parts.peek().is_none() {
                return rest.ends_with(part);
            }
            let Some(at) = rest.find(part) else { return false };
            rest = &rest[at + part.len()..];
        }
        !anchored || rest.is_empty()
    }
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn matches(pattern: &str, path: &str) -> bool {
        PathPattern::new(pattern).matches(&UrlPath::new(path))
    }

    #[test]
    fn wildcards_and_ends() {
        assert!(matches("/fish*.php", "/fishheads/catfish.php?x"));
        assert!(matches("/*.php$", "/a.php.php"));
        assert!(!matches("/*.php$", "/a.php5"));
        assert!(matches("/a*b*c$", "/a-b-b-c-c"));
        assert!(!matches("/a*b*c$", "/abcd"));
        assert!(matches("/x-%2A.html", "/x-*.html"));
        assert!(matches("/foo-%24", "/foo-$"));
        assert!(!matches("/ab$", "/abab"));
        assert_eq!(UrlPath::new("/a.b/c.JPG?d.e").extension(), Some("jpg".to_owned()));
    }

    #[test]
    fn a_wide_pattern_contains_a_narrow_one() {
        let contains = |a, b| PathPattern::new(a).contains(&PathPattern::new(b));
        assert!(contains("/a", "/a/b*c$"));
        assert!(contains("/a*c", "/a*c"));
        assert!(contains("/*.jpg$", "/x/*.jpg$"));
        assert!(!contains("/*.jpg$", "/x/*.jpg"));
        assert!(!contains("/a$", "/a"));
        assert!(!contains("/ab", "/a*b"));
    }

    proptest! {
        #[test]
        fn containing_is_sound_and_shortest_is_the_same(
            a in "/[ab*]{0,6}[$]?", b in "/[ab*]{0,6}[$]?", path in "/[ab]{0,8}"
        ) {
            let (a, b, path) = (PathPattern::new(&a), PathPattern::new(&b), UrlPath::new(&path));
            if a.contains(&b) && b.matches(&path) {
                prop_assert!(a.matches(&path));
            }
            prop_assert_eq!(a.shortest().matches(&path), a.matches(&path));
            prop_assert_eq!(a.shortest().shortest(), a.shortest());
        }
    }
}
