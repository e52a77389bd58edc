//! Where a work is: a domain, a URL pattern, or a code repository.
//!
//! Text form, unique for each place: `example.org` (that domain and every domain below it, all
//! ports), `https://example.org/art/*.png$` (paths of exactly that host, RFC 9309 style: a prefix
//! unless `$` ends it), `code:github.com/owner/name` or `code:github.com/owner`.
//!
//! Invariants: `parse(place.to_string())` is the place; `http` and `https`, ports 80 and 443 are one
//! place; letters that could name two hosts (user names, backslashes, white space, odd IP forms) are
//! refused. [`Place::covers`] answers `Err` for a URL that it cannot read: the item is then to be
//! excluded.
//! What it is not: proof that somebody may speak for the place, nor a list of public suffixes.

use std::fmt;

use protocol::limits::PLACE_BYTES_MAX;

use super::host;
use super::pattern::{PathPattern, UrlPath};
use super::repository::Repository;

/// Why a text names no place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlaceError {
    /// Empty or too long.
    #[error("{0} bytes; a place has 1 to {PLACE_BYTES_MAX}")]
    Length(usize),
    /// White space, a control character or a backslash.
    #[error("{0:?} has white space, a control character or a backslash in it; encode or remove it")]
    Letter(String),
    /// Neither http nor https.
    #[error("{0:?} is not of http or https")]
    Scheme(String),
    /// A user name before the host.
    #[error("{0:?} has a user name before its host; leave it out")]
    UserName(String),
    /// No host that can be looked up.
    #[error("{0:?} is no host name with a dot in it and no usual IP address")]
    Host(String),
    /// No port, or a port where a domain is meant.
    #[error("{0:?} is no port, or stands after a domain; a port needs https:// and a path")]
    Port(String),
    /// No repository.
    #[error("{0:?} is no repository; write code:host/owner or code:host/owner/name")]
    Repository(String),
}

/// A domain, a URL pattern or a code repository.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// A domain and everything below it.
    Domain(Domain),
    /// Paths of one host.
    Url(UrlPattern),
    /// A repository, or all of an owner's.
    Code(Repository),
}

/// A domain in its one spelling.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Domain(String);

/// A host, a port unless it is a usual one, and a path pattern.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct UrlPattern {
    host: String,
    port: Option<u16>,
    pattern: PathPattern,
}

/// A URL of an item, read for matching.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    host: String,
    port: Option<u16>,
    path: UrlPath,
}

impl Address {
    /// Reads an `http` or `https` URL.
    pub fn parse(url: &str) -> Result<Self, PlaceError> {
        let url = checked(url)?;
        let (host, port, path) =
            split(after_scheme(url)?.ok_or_else(|| PlaceError::Scheme(short(url)))?)?;
        Ok(Self { host, port, path: UrlPath::new(path) })
    }

    /// The host in its one spelling.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The path and query.
    pub const fn path(&self) -> &UrlPath {
        &self.path
    }
}

impl Place {
    /// Reads a place; see the module for the forms. `host/path` without a scheme, `git@host:path`
    /// and `https://github.com/owner/name.git` are read too.
    pub fn parse(text: &str) -> Result<Self, PlaceError> {
        let place = Self::read(text)?;
        // Its one spelling may be longer than what was written, and has to be read again by others.
        match place.to_string().len() {
            bytes if bytes > PLACE_BYTES_MAX => Err(PlaceError::Length(bytes)),
            _ => Ok(place),
        }
    }

    fn read(text: &str) -> Result<Self, PlaceError> {
        let text = checked(text)?;
        let refused = || PlaceError::Repository(short(text));
        if let Some(rest) = text.strip_prefix("code:") {
            return Repository::parse(rest).map(Self::Code);
        }
        if let Some((host, path)) = text.strip_prefix("git@").and_then(|t| t.split_once(':')) {
            return Repository::parse(&format!("{host}/{path}")).map(Self::Code);
        }
        if let Some(rest) = ["ssh://git@", "git://", "git+ssh://git@", "git+https://"]
            .iter()
            .find_map(|scheme| text.strip_prefix(scheme))
        {
            return Repository::parse(rest).map(Self::Code);
        }
        let rest = match after_scheme(text)? {
            Some(rest) => rest,
            None if text.contains(['/', '?']) => text,
            None => return Self::domain(text),
        };
        let (host, port, path) = split(rest)?;
        let path = path.split('#').next().unwrap_or_default();
        let path = if path.is_empty() { "/" } else { path };
        let path = if path.starts_with('?') { format!("/{path}") } else { path.to_owned() };
        let pattern = one_spelling(&path);
        let repository = Repository::of_url(&host, &pattern.to_string());
        if let (None, Some(repository)) = (port, repository) {
            // A wildcard after the name means more than the repository: no text says that twice.
            let whole = !path.contains('*');
            return whole.then_some(Self::Code(repository)).ok_or_else(refused);
        }
        Ok(Self::Url(UrlPattern { host, port, pattern }))
    }

    fn domain(text: &str) -> Result<Self, PlaceError> {
        if text.contains('@') {
            return Err(PlaceError::UserName(short(text)));
        }
        if !text.starts_with('[') && text.contains(':') {
            return Err(PlaceError::Port(short(text)));
        }
        let host = host::canonical(text).ok_or_else(|| PlaceError::Host(short(text)))?;
        Ok(Self::Domain(Domain(host)))
    }

    /// The host that everything at this place is on, or below.
    pub fn host(&self) -> &str {
        match self {
            Self::Domain(Domain(host)) | Self::Url(UrlPattern { host, .. }) => host,
            Self::Code(repository) => repository.forge(),
        }
    }

    /// Whether the item at `url` is at this place. An error means that nobody can tell: the item is
    /// to be excluded.
    pub fn covers(&self, url: &str) -> Result<bool, PlaceError> {
        Address::parse(url).map(|address| self.covers_address(&address))
    }

    /// As [`Place::covers`], of an address already read.
    pub fn covers_address(&self, address: &Address) -> bool {
        match self {
            Self::Domain(Domain(domain)) => host::within(&address.host, domain),
            Self::Url(url) => {
                (&url.host, url.port) == (&address.host, address.port)
                    && url.pattern.matches(&address.path)
            }
            Self::Code(repository) => repository.covers(address),
        }
    }

    /// Whether all of `other` is certainly within this place; of wildcards within wildcards some
    /// true cases are missed.
    pub fn contains(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Domain(Domain(wide)), Self::Domain(Domain(host)))
            | (Self::Domain(Domain(wide)), Self::Url(UrlPattern { host, .. })) => {
                host::within(host, wide)
            }
            (Self::Domain(Domain(wide)), Self::Code(repository)) => {
                host::within(repository.forge(), wide)
            }
            (Self::Url(a), Self::Url(b)) => {
                (&a.host, a.port) == (&b.host, b.port) && a.pattern.contains(&b.pattern)
            }
            (Self::Code(wide), Self::Code(narrow)) => wide.contains(narrow),
            (Self::Code(wide), Self::Url(url)) => {
                url.port.is_none() && wide.contains_pattern(&url.host, &url.pattern)
            }
            (Self::Url(_) | Self::Code(_), Self::Domain(_)) | (Self::Url(_), Self::Code(_)) => {
                false
            }
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Domain(Domain(host)) => f.write_str(host),
            Self::Url(UrlPattern { host, port, pattern }) => {
                write!(f, "https://{host}")?;
                port.iter().try_for_each(|port| write!(f, ":{port}"))?;
                write!(f, "{pattern}")
            }
            Self::Code(repository) => repository.fmt(f),
        }
    }
}

/// What of a text an error shows.
pub(super) fn short(text: &str) -> String {
    text.chars().take(80).collect()
}

fn checked(text: &str) -> Result<&str, PlaceError> {
    let text = text.trim_matches(|c: char| c.is_ascii_whitespace());
    if text.is_empty() || text.len() > PLACE_BYTES_MAX {
        return Err(PlaceError::Length(text.len()));
    }
    if text.contains(|c: char| c == '\\' || c.is_whitespace() || c.is_control()) {
        return Err(PlaceError::Letter(short(text)));
    }
    Ok(text)
}

/// What follows `http://` or `https://`; none without a scheme.
fn after_scheme(text: &str) -> Result<Option<&str>, PlaceError> {
    let Some((scheme, rest)) = text.split_once("://") else { return Ok(None) };
    if scheme.contains(['/', '?', '.', '@', '#']) {
        return Ok(None);
    }
    let known = scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https");
    if known { Ok(Some(rest)) } else { Err(PlaceError::Scheme(short(text))) }
}

/// Host, port unless usual, and the rest.
fn split(text: &str) -> Result<(String, Option<u16>, &str), PlaceError> {
    let end = text.find(['/', '?', '#']).unwrap_or(text.len());
    let (authority, rest) = text.split_at(end);
    if authority.contains('@') {
        return Err(PlaceError::UserName(short(text)));
    }
    let colon = authority.rfind(':').filter(|colon| !authority[*colon..].contains(']'));
    let (name, port) = match colon {
        Some(colon) => (&authority[..colon], &authority[colon + 1..]),
        None => (authority, ""),
    };
    let refused = || PlaceError::Port(short(text));
    let port = match port {
        "" => None,
        digits if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            Some(digits.parse::<u16>().map_err(|_| refused())?)
        }
        _ => return Err(refused()),
    };
    let host = host::canonical(name).ok_or_else(|| PlaceError::Host(short(text)))?;
    Ok((host, port.filter(|port| ![80, 443].contains(port)), rest))
}

/// The shortest pattern that reads back as itself. In `/a/.*` the wildcard stays, although `/a/.` is
/// the same prefix: without it the dot is a segment that is resolved.
fn one_spelling(pattern: &str) -> PathPattern {
    let shortest = PathPattern::new(&undotted(pattern)).shortest();
    let text = shortest.to_string();
    if undotted(&text) == text { shortest } else { PathPattern::new(&(text + "*")) }
}

/// A pattern with the dots of its path resolved, unless wildcards make that unclear.
fn undotted(pattern: &str) -> String {
    let (body, end) = pattern.strip_suffix('$').map_or((pattern, ""), |body| (body, "$"));
    if body.contains('*') {
        pattern.to_owned()
    } else {
        UrlPath::new(body).as_str().to_owned() + end
    }
}

#[cfg(test)]
#[path = "tests/place.rs"]
mod tests;
