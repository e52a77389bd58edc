//! The secret that proves to the local API that the caller may read the data directory.
//!
//! Invariants: it never prints itself; comparing takes the same time wherever two differ.
//! What it is not: made here. `home` makes it and keeps it in a file of mode 0600.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The token: 64 hexadecimal digits of 32 random bytes.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Token(String);

impl Token {
    /// The token with this text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Whether an `Authorization` header's value is `Bearer` and this token (RFC 6750).
    pub fn matches(&self, authorization: &[u8]) -> bool {
        let Some(given) = authorization.strip_prefix(b"Bearer ") else {
            return false;
        };
        let (own, given) = (self.0.as_bytes(), given.trim_ascii());
        let differing = own.iter().zip(given).fold(0, |bits, (a, b)| bits | (a ^ b));
        !own.is_empty() && own.len() == given.len() && differing == 0
    }

    /// What a client puts into its `Authorization` header.
    pub(super) fn authorization(&self) -> String {
        format!("Bearer {}", self.0)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(secret)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_token_matches() {
        let token = Token::new("ab12");
        assert!(token.matches(b"Bearer ab12"));
        assert!(token.matches(token.authorization().as_bytes()));
        for wrong in ["ab12", "Bearer ab1", "Bearer ab123", "Bearer ab13", "Basic ab12", ""] {
            assert!(!token.matches(wrong.as_bytes()), "{wrong}");
        }
        assert!(!Token::new("").matches(b"Bearer "));
        assert_eq!(format!("{token:?}"), "Token(secret)");
    }
}
