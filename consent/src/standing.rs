//! Standing: why somebody should be heard about a work.
//!
//! Invariants: ordered from least to most. A restriction on exact bytes needs none; what more a
//! statement needs is the policy's to say. What it is not: truth. It says who looked, and at what.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What is known of the one who speaks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// Their own word.
    #[default]
    SelfAsserted,
    /// They control the place where the work is: a DNS entry, a well-known file, a repository.
    Place,
    /// A registrar or a collective has looked at their claim.
    Registrar,
    /// Their key signed the work itself (C2PA).
    Signer,
}

impl Standing {
    /// The text form.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SelfAsserted => "self-asserted",
            Self::Place => "place",
            Self::Registrar => "registrar",
            Self::Signer => "signer",
        }
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
