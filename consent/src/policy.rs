//! A run's policy: what the gate does where the ledger leaves room.
//!
//! Invariants: written into every round by its hash, so two gates under one hash ask the same.
//! What it is not: able to override a restriction. No field of it can.

use serde::{Deserialize, Serialize};

use protocol::FileHash;
use protocol::codec::{self, DecodeError};
use protocol::limits::POLICY_BYTES_MAX;

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// What silence means.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Silence {
    /// Only works that somebody allowed are used.
    #[default]
    OptIn,
    /// Works that nobody restricted are used.
    OptOut,
}

/// The rules of a run about consent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Policy {
    /// What silence means.
    pub default: Silence,
    /// How long after its receipt an allow starts to count, in milliseconds: time for the holder
    /// of a stolen key to notice. Zero is for private runs on one's own data.
    pub cooling_ms: u64,
    /// How long after its receipt an allow counts at most, in milliseconds, whatever end it names.
    pub allow_ms_max: u64,
}

impl Default for Policy {
    /// Silence is no; allows cool for three days and count for two years.
    fn default() -> Self {
        Self { default: Silence::OptIn, cooling_ms: 3 * DAY_MS, allow_ms_max: 730 * DAY_MS }
    }
}

impl Policy {
    /// The canonical bytes, as a `RunSpec` carries them.
    pub fn to_bytes(&self) -> Vec<u8> {
        codec::encode(self)
    }

    /// Reads untrusted bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        codec::decode(bytes, POLICY_BYTES_MAX as usize)
    }

    /// The hash of the canonical bytes.
    pub fn hash(&self) -> FileHash {
        FileHash::of(&self.to_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_of_every_field_and_pinned() {
        let policy = Policy::default();
        assert_eq!(Policy::from_bytes(&policy.to_bytes()), Ok(policy));
        let others = [
            Policy { default: Silence::OptOut, ..policy },
            Policy { cooling_ms: 0, ..policy },
            Policy { allow_ms_max: 1, ..policy },
        ];
        assert!(others.iter().all(|other| other.hash() != policy.hash()));
        assert_eq!(policy.hash().to_string(), PINNED);
    }

    const PINNED: &str = "89d63f9059b324bf0aeb7b976b42e8673577ddf44e162cd0bee364d93d3031d7";
}
