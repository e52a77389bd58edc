//! Places of code: a repository, or everything of one owner, on a known forge.
//!
//! Invariants: lower case (the forges take names without regard to case), no `.git`, no `www.`; the
//! forge is one of [`FORGES`], or any host where a `git@` address named it.
//! What it is not: a check that the repository exists, or a link to copies of it elsewhere.

use std::fmt;

use super::host;
use super::pattern::PathPattern;
use super::place::{Address, PlaceError};

/// Forges whose `host/owner/name` addresses are taken for repositories.
pub const FORGES: [&str; 4] = ["github.com", "gitlab.com", "bitbucket.org", "codeberg.org"];

/// First segments on forges that are pages of the forge and not owners.
const PAGES: [&str; 19] = [
    "about",
    "apps",
    "collections",
    "dashboard",
    "enterprise",
    "events",
    "explore",
    "features",
    "issues",
    "login",
    "marketplace",
    "notifications",
    "orgs",
    "pricing",
    "search",
    "settings",
    "sponsors",
    "topics",
    "users",
];

/// A repository, or all of an owner's.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Repository {
    forge: String,
    owner: String,
    name: Option<String>,
}

impl Repository {
    /// From what follows `code:`, or an address of `git` with the colon made a slash:
    /// `host/owner` or `host/owner/name`.
    pub(super) fn parse(text: &str) -> Result<Self, PlaceError> {
        let refused = || PlaceError::Repository(super::place::short(text));
        let (host, path) = text.split_once('/').ok_or_else(refused)?;
        let forge = host::canonical(host).ok_or_else(refused)?;
        let forge = forge.strip_prefix("www.").unwrap_or(&forge).to_owned();
        let path = path.strip_suffix('/').unwrap_or(path);
        let (owner, name) = match path.split_once('/') {
            Some((owner, name)) => (owner, Some(name)),
            None => (path, None),
        };
        let name = name.map(|name| strip_git(name).to_ascii_lowercase());
        let owner = owner.to_ascii_lowercase();
        let named = name.as_deref().is_none_or(|name| name.split('/').all(is_name));
        if !is_name(&owner) || !named || name.as_deref().is_some_and(|name| name.ends_with(".git"))
        {
            return Err(refused());
        }
        Ok(Self { forge, owner, name })
    }

    /// The repository that a URL's path names and nothing else.
    pub(super) fn of_url(forge: &str, path: &str) -> Option<Self> {
        let forge = forge.strip_prefix("www.").unwrap_or(forge);
        if !FORGES.contains(&forge) || path.contains(['?', '*', '$', '%']) {
            return None;
        }
        let path = path.strip_prefix('/')?;
        let (owner, name) = path.strip_suffix('/').unwrap_or(path).split_once('/')?;
        if name.contains('/') || PAGES.contains(&owner.to_ascii_lowercase().as_str()) {
            return None;
        }
        Self::parse(&format!("{forge}/{owner}/{name}")).ok()
    }

    /// The forge's host.
    pub fn forge(&self) -> &str {
        &self.forge
    }

    /// Whether `other` is the same, or one of this owner's.
    pub(super) fn contains(&self, other: &Self) -> bool {
        let same_owner = (&self.forge, &self.owner) == (&other.forge, &other.owner);
        same_owner && (self.name.is_none() || self.name == other.name)
    }

    /// Whether a URL is below it, on the forge or on the host from which it serves raw files.
    pub(super) fn covers(&self, address: &Address) -> bool {
        let host = address.host();
        let host = host.strip_prefix("www.").unwrap_or(host);
        let raw = self.forge == "github.com"
            && ["raw.githubusercontent.com", "codeload.github.com"].contains(&host);
        (host == self.forge || raw) && self.covers_path(address.path().as_str())
    }

    /// Whether every place of a pattern on this forge is below it.
    pub(super) fn contains_pattern(&self, host: &str, pattern: &PathPattern) -> bool {
        let (head, whole) = pattern.head();
        // Without an end, the last segment may go on and be another name.
        let cut = if whole { head.len() } else { head.rfind('/').map_or(0, |at| at + 1) };
        host == self.forge && self.covers_path(&head[..cut])
    }

    fn covers_path(&self, path: &str) -> bool {
        let path = path.split('?').next().unwrap_or_default().to_ascii_lowercase();
        let Some(rest) = path.strip_prefix('/').and_then(|p| p.strip_prefix(&*self.owner)) else {
            return false;
        };
        let Some(name) = &self.name else { return rest.is_empty() || rest.starts_with('/') };
        let Some(rest) = rest.strip_prefix('/').and_then(|rest| rest.strip_prefix(&**name)) else {
            return false;
        };
        let rest = rest.strip_prefix(".git").unwrap_or(rest);
        rest.is_empty() || rest.starts_with('/')
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "code:{}/{}", self.forge, self.owner)?;
        self.name.iter().try_for_each(|name| write!(f, "/{name}"))
    }
}

fn strip_git(name: &str) -> &str {
    let cut = name.len().checked_sub(4).filter(|cut| name.is_char_boundary(*cut));
    match cut {
        Some(cut) if cut > 0 && name[cut..].eq_ignore_ascii_case(".git") => &name[..cut],
        _ => name,
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty()
        && !matches!(text, "." | "..")
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}
