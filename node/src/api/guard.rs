//! Who may call the local API.
//!
//! Role: refuse a call before its body is read. Invariants: the `Host` is this server on loopback
//! (a name that a web page has pointed at 127.0.0.1 is not), an `Origin` is this server's own, and
//! every call carries the token: looking at a run follows it, so reads are not free of effects.
//! What it is not: a limit on what a caller with the token can do; it can do what the user can.

use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, HOST, ORIGIN};
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::middleware::Next;
use axum::response::Response;

use super::Token;
use super::stream::refusal;

/// What a call is held against.
#[derive(Debug, Clone)]
pub(super) struct Guard {
    port: u16,
    token: Token,
}

impl Guard {
    pub(super) const fn new(port: u16, token: Token) -> Self {
        Self { port, token }
    }

    fn check(&self, headers: &HeaderMap) -> Result<(), (StatusCode, &'static str)> {
        let only = |name: HeaderName| {
            let mut values = headers.get_all(name).iter();
            (values.next(), values.next().is_some())
        };
        match only(HOST) {
            (Some(host), false) if self.is_own_host(host.as_bytes()) => {}
            _ => return Err((StatusCode::FORBIDDEN, "the Host is not this node's local API")),
        }
        match only(ORIGIN) {
            (None, _) => {}
            (Some(origin), false) if self.is_own_origin(origin.as_bytes()) => {}
            _ => return Err((StatusCode::FORBIDDEN, "a page of another origin may not call this")),
        }
        match only(AUTHORIZATION) {
            (Some(said), false) if self.token.matches(said.as_bytes()) => Ok(()),
            _ => Err((StatusCode::UNAUTHORIZED, "the token is missing or not this node's")),
        }
    }

    fn is_own_host(&self, host: &[u8]) -> bool {
        ["127.0.0.1", "localhost"]
            .iter()
            .any(|name| format!("{name}:{}", self.port).as_bytes().eq_ignore_ascii_case(host))
    }

    fn is_own_origin(&self, origin: &[u8]) -> bool {
        origin.strip_prefix(b"http://").is_some_and(|host| self.is_own_host(host))
    }
}

/// Lets a call through or answers why not.
pub(super) async fn guard(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    match guard.check(request.headers()) {
        Ok(()) => next.run(request).await,
        Err((status, error)) => refusal(status, error.to_owned(), false),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn check(headers: &[(HeaderName, &'static str)]) -> Result<(), u16> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(name, HeaderValue::from_static(value));
        }
        let guard = Guard::new(7411, Token::new("secret"));
        guard.check(&map).map_err(|(status, _)| status.as_u16())
    }

    const KNOWN: (HeaderName, &str) = (AUTHORIZATION, "Bearer secret");

    #[test]
    fn only_loopback_hosts_and_own_origins_pass() {
        for host in ["127.0.0.1:7411", "localhost:7411", "LocalHost:7411"] {
            assert_eq!(check(&[(HOST, host), KNOWN]), Ok(()), "{host}");
        }
        for host in ["127.0.0.1", "127.0.0.1:80", "evil.example:7411", "127.0.0.1:7411.evil", ""] {
            assert_eq!(check(&[(HOST, host), KNOWN]), Err(403), "{host}");
        }
        assert_eq!(check(&[KNOWN]), Err(403));
        let twice = [(HOST, "127.0.0.1:7411"), (HOST, "evil.example"), KNOWN];
        assert_eq!(check(&twice), Err(403));
        let from = |origin| check(&[(HOST, "127.0.0.1:7411"), (ORIGIN, origin), KNOWN]);
        assert_eq!(from("http://127.0.0.1:7411"), Ok(()));
        for origin in
            ["https://evil.example", "null", "http://127.0.0.1:1", "https://localhost:7411"]
        {
            assert_eq!(from(origin), Err(403), "{origin}");
        }
    }

    #[test]
    fn every_call_wants_the_token() {
        let own = (HOST, "localhost:7411");
        assert_eq!(check(&[own.clone(), KNOWN]), Ok(()));
        assert_eq!(check(std::slice::from_ref(&own)), Err(401));
        assert_eq!(check(&[own.clone(), (AUTHORIZATION, "Bearer other")]), Err(401));
        assert_eq!(check(&[own, KNOWN, KNOWN]), Err(401));
    }
}
