//! Spawning's `ai.txt`: which media of a host may train models, by extension or path.
//!
//! The form is that of robots.txt, and there is no text that says how lines combine. Here every line
//! counts whomever its group is for, and of those that match the strictest wins: `Disallow: /` with
//! `Allow: *.txt` refuses texts too.
//!
//! Invariants: `*.ext` means files with that extension; anything else is a path pattern; a pattern
//! that starts with neither `/` nor `*` is read as if a slash stood before it. What it is not:
//! robots.txt; a file that says nothing is nothing.

use super::found::{Fault, Found};
use super::pattern::{PathPattern, UrlPath};
use super::robots::{Robots, Rule, RuleKind};
use super::scheme::Scheme;
use super::term::{Scope, Term, all};
use crate::use_atom::{Use, Value};

const VERSION: &str = "spawning-2023";

/// What the file says of the resource at `path` of its host.
pub fn read(bytes: &[u8], path: &UrlPath) -> Found {
    let terms = terms(bytes).map(|mut terms| {
        terms.retain(|term| term.scope.covers_path(path));
        terms
    });
    Found::of(Scheme::AiTxt, terms)
}

/// Every line of the file.
pub fn terms(bytes: &[u8]) -> Result<Vec<Term>, Fault> {
    let robots = Robots::parse(bytes)?;
    Ok(robots.rules_where(|_| true).into_iter().filter_map(term).collect())
}

fn term(rule: &Rule) -> Option<Term> {
    let value = match rule.kind {
        RuleKind::Disallow => Value::Deny,
        RuleKind::Allow => Value::Allow,
        RuleKind::ContentUsage | RuleKind::ContentSignal => return None,
    };
    let place = Some(rule.value.as_str()).filter(|place| !place.is_empty())?;
    let extension = place.strip_prefix("*.").or_else(|| place.strip_prefix("/*."));
    let extension = extension.map(|extension| extension.strip_suffix('$').unwrap_or(extension));
    let scope = match extension {
        _ if matches!(place, "/" | "*" | "/*") => Scope::Whole,
        Some(extension) if extension.bytes().all(|byte| byte.is_ascii_alphanumeric()) => {
            Scope::Extension(extension.to_ascii_lowercase())
        }
        _ if place.starts_with(['/', '*']) => Scope::Path(PathPattern::new(place)),
        _ => Scope::Path(PathPattern::new(&format!("/{place}"))),
    };
    Some(Term::new(Scheme::AiTxt, VERSION, &rule.line(), all(&Use::TRAINING, value)).at(scope))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_and_paths() {
        let text = "# Spawning AI\nUser-Agent: *\nDisallow: *.png\nDisallow: /private/\nAllow: *.txt\n\
                    User-Agent: other\nDisallow: *.MP3$\nDisallow: drafts\n";
        let value = |path| read(text.as_bytes(), &UrlPath::new(path)).value(Use::TrainGenerative);
        assert_eq!(value("/a/b.PNG?x"), Value::Deny);
        assert_eq!(value("/a/b.txt"), Value::Allow);
        assert_eq!(value("/private/b.txt"), Value::Deny);
        assert_eq!(value("/drafts/x"), Value::Deny);
        assert_eq!(value("/a.mp3"), Value::Deny);
        assert_eq!(value("/a.html"), Value::Unset);
        let all = "User-Agent: *\nDisallow: /\nAllow: *.txt";
        let found = read(all.as_bytes(), &UrlPath::new("/a.txt"));
        assert_eq!((found.terms().len(), found.value(Use::TrainOther)), (2, Value::Deny));
        assert_eq!(found.value(Use::Index), Value::Unset);
        assert_eq!(read(b"<html>not found</html>", &UrlPath::new("/")), Found::Nothing);
    }
}
