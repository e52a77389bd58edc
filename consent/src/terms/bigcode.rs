//! Lists in the manner of BigCode's opt-out for The Stack: accounts and repositories, one on a line,
//! in a CSV column, or in JSON.
//!
//! Each entry refuses training on that code. An entry that names neither an account nor a repository
//! makes the list unreadable: whose code it meant nobody can tell.
//!
//! Invariants: a name without a host is on the forge that the caller names; a line is an entry, a
//! comment (`#`) or empty; the first line of a CSV may be a header. What it is not: the issue
//! tracker in which such entries are asked for.

use ciborium::Value as Tree;

use protocol::limits::{OPT_OUT_LIST_BYTES_MAX, OPT_OUT_LIST_ENTRIES_MAX};

use super::found::{Fault, Found, bounded};
use super::place::Place;
use super::scheme::Scheme;
use super::term::{Scope, Term, all};
use crate::use_atom::{Use, Value};

const VERSION: &str = "opt-out-v2";
const WHAT: &str = "an account or repository";
/// Names of columns and JSON fields that hold an entry.
const COLUMNS: [&str; 13] = [
    "account",
    "full_name",
    "github_username",
    "login",
    "name",
    "org",
    "organization",
    "repo",
    "repository",
    "url",
    "user",
    "username",
    "usernames",
];

/// Reads a list; `forge` is the host of names without one, such as `github.com`.
pub fn read(bytes: &[u8], forge: &str) -> Found {
    Found::of(Scheme::BigCode, entries(bytes).and_then(|entries| terms(entries, forge)))
}

/// What a list says of one place of code: the entries that contain it.
pub fn read_for(bytes: &[u8], forge: &str, code: &Place) -> Found {
    match read(bytes, forge) {
        Found::Terms(mut terms) => {
            terms.retain(|term| matches!(&term.scope, Scope::Place(place) if place.contains(code)));
            if terms.is_empty() { Found::Nothing } else { Found::Terms(terms) }
        }
        other => other,
    }
}

fn terms(entries: Vec<String>, forge: &str) -> Result<Vec<Term>, Fault> {
    let term = |entry: &String| {
        let place = place(entry, forge).ok_or_else(|| Fault::value(WHAT, entry))?;
        let term = Term::new(Scheme::BigCode, VERSION, entry, all(&Use::TRAINING, Value::Deny));
        Ok(term.at(Scope::Place(place)))
    };
    entries.iter().map(term).collect()
}

fn place(entry: &str, forge: &str) -> Option<Place> {
    let entry = entry.strip_prefix('@').unwrap_or(entry);
    let hosted = entry.split_once('/').is_some_and(|(host, _)| host.contains('.'));
    let text = if entry.contains("://") {
        let (_, path) = entry.split_once("://")?;
        format!("code:{path}")
    } else if entry.starts_with("git@") || entry.starts_with("code:") {
        entry.to_owned()
    } else if hosted {
        format!("code:{entry}")
    } else {
        format!("code:{forge}/{entry}")
    };
    Place::parse(&text).ok().filter(|place| matches!(place, Place::Code(_)))
}

fn entries(bytes: &[u8]) -> Result<Vec<String>, Fault> {
    bounded(bytes, OPT_OUT_LIST_BYTES_MAX)?;
    let text = std::str::from_utf8(bytes).map_err(|error| Fault::malformed("UTF-8", error))?;
    let text = text.trim_start_matches('\u{feff}').trim();
    let entries = if text.starts_with(['[', '{']) { in_json(text)? } else { in_lines(text) };
    if entries.len() > OPT_OUT_LIST_ENTRIES_MAX {
        return Err(Fault::TooMany(OPT_OUT_LIST_ENTRIES_MAX, "entries"));
    }
    Ok(entries)
}

/// Strings, objects with a known field, and lists of these under any name.
fn in_json(text: &str) -> Result<Vec<String>, Fault> {
    let tree: Tree = serde_json::from_str(text).map_err(|error| Fault::malformed("JSON", error))?;
    let (mut entries, mut waiting) = (Vec::new(), vec![&tree]);
    while let Some(next) = waiting.pop() {
        match next {
            Tree::Text(entry) => entries.push(entry.trim().to_owned()),
            Tree::Array(items) => waiting.extend(items),
            Tree::Map(fields) => {
                let named = |name: &Tree| name.as_text().is_some_and(is_column);
                let known = fields.iter().filter(|(name, value)| named(name) || value.is_array());
                let before = waiting.len();
                waiting.extend(known.map(|(_, value)| value));
                if waiting.len() == before {
                    return Err(Fault::malformed(WHAT, "an object names none"));
                }
            }
            _ => return Err(Fault::malformed(WHAT, "it is no text")),
        }
    }
    Ok(entries)
}

fn in_lines(text: &str) -> Vec<String> {
    let mut lines = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .peekable();
    let columns: Vec<String> = lines.peek().map_or_else(Vec::new, |line| cells(line));
    let column = columns.iter().position(|name| is_column(name));
    if column.is_some() {
        lines.next();
    }
    lines.map(|line| cells(line).into_iter().nth(column.unwrap_or(0)).unwrap_or_default()).collect()
}

/// The cells of a CSV line; names hold no commas, so quotes are only taken off.
fn cells(line: &str) -> Vec<String> {
    let cells = line.split([',', '\t', ';']);
    cells.map(|cell| cell.trim().trim_matches('"').trim().to_owned()).collect()
}

fn is_column(name: &str) -> bool {
    COLUMNS.iter().any(|column| name.eq_ignore_ascii_case(column))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn places(text: &str) -> Vec<String> {
        let found = read(text.as_bytes(), "github.com");
        assert!(found.fault().is_none(), "{text}: {found:?}");
        let mut places: Vec<String> = found
            .terms()
            .iter()
            .map(|term| match &term.scope {
                Scope::Place(place) => place.to_string(),
                scope => format!("{scope:?}"),
            })
            .collect();
        places.sort();
        places
    }

    #[test]
    fn lines_tables_and_json() {
        let both = ["code:github.com/octo", "code:github.com/octo/repo"];
        assert_eq!(places("# opted out\nOcto\n\n@octo/Repo.git\n"), both);
        assert_eq!(places("id,username,date\n1,Octo,2023\n2,\"octo/repo\",2023\n"), both);
        assert_eq!(places("https://github.com/octo\ngit@github.com:octo/repo.git"), both);
        assert_eq!(places(r#"["octo", {"repo": "octo/repo", "id": 3}]"#), both);
        assert_eq!(
            places(r#"{"users": ["octo"], "repos": ["gitlab.com/a/b/c"]}"#),
            ["code:github.com/octo", "code:gitlab.com/a/b/c"]
        );
        for broken in ["octo\nwho is this?", "[1]", "[{\"id\": 1}]", "[", "octo\n../..", "\u{0}"] {
            let found = read(broken.as_bytes(), "github.com");
            assert!(found.excludes(Use::TrainOther), "{broken}");
        }
    }

    #[test]
    fn an_owner_s_entry_covers_all_repositories() {
        let code = Place::parse("https://github.com/octo/anything").expect("a place");
        let other = Place::parse("https://github.com/other/anything").expect("a place");
        assert!(read_for(b"octo", "github.com", &code).excludes(Use::TrainGenerative));
        assert_eq!(read_for(b"octo", "github.com", &other), Found::Nothing);
        assert!(read_for(b"[", "github.com", &other).excludes(Use::TrainGenerative));
    }

    proptest! {
        #[test]
        fn any_text(text in ".{0,60}", bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = (read(text.as_bytes(), "github.com"), read(&bytes, "github.com"));
        }
    }
}
