//! Who may call the local API.
//!
//! Role: refuse a call before its body is read. Invariants: the `Host` is this server on loopback
//! (a name that a web page has pointed at 127.0.0.1 is not), an `Origin` is this server's own, and
//! whatever is not a plain read carries the token. What it is not: a limit on what a caller with
//! the token can do; it can do what the user can.

use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, HOST, ORIGIN};
use axum::http::{HeaderMap, HeaderName, Method, StatusCode};
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

    fn check(
        &self,
        method: &Method,
        headers: &HeaderMap,
    ) -> Result<(), (StatusCode, &'static str)> {
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
        let reads = matches!(*method, Method::GET | Method::HEAD);
        let known =
            || matches!(only(AUTHORIZATION), (Some(a), false) if self.token.matches(a.as_bytes()));
        if reads || known() {
            return Ok(());
        }
        Err((StatusCode::UNAUTHORIZED, "the token is missing or not this node's"))
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
    match guard.check(request.method(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err((status, error)) => refusal(status, error.to_owned(), false),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn check(method: Method, headers: &[(HeaderName, &'static str)]) -> Result<(), u16> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(name, HeaderValue::from_static(value));
        }
        let guard = Guard::new(7411, Token::new("secret"));
        guard.check(&method, &map).map_err(|(status, _)| status.as_u16())
    }

    #[test]
    fn only_loopback_hosts_and_own_origins_pass() {
        for host in ["127.0.0.1:7411", "localhost:7411", "LocalHost:7411"] {
            assert_eq!(check(Method::GET, &[(HOST, host)]), Ok(()), "{host}");
        }
        for host in ["127.0.0.1", "127.0.0.1:80", "evil.example:7411", "127.0.0.1:7411.evil", ""] {
            assert_eq!(check(Method::GET, &[(HOST, host)]), Err(403), "{host}");
        }
        assert_eq!(check(Method::GET, &[]), Err(403));
        let twice = [(HOST, "127.0.0.1:7411"), (HOST, "evil.example")];
        assert_eq!(check(Method::GET, &twice), Err(403));
        let from = |origin| check(Method::GET, &[(HOST, "127.0.0.1:7411"), (ORIGIN, origin)]);
        assert_eq!(from("http://127.0.0.1:7411"), Ok(()));
        for origin in
            ["https://evil.example", "null", "http://127.0.0.1:1", "https://localhost:7411"]
        {
            assert_eq!(from(origin), Err(403), "{origin}");
        }
    }

    #[test]
    fn whatever_is_not_a_read_wants_the_token() {
        let with = |method, a| check(method, &[(HOST, "localhost:7411"), (AUTHORIZATION, a)]);
        assert_eq!(with(Method::POST, "Bearer secret"), Ok(()));
        assert_eq!(with(Method::POST, "Bearer other"), Err(401));
        for method in [Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS] {
            assert_eq!(check(method, &[(HOST, "localhost:7411")]), Err(401));
        }
    }
}
