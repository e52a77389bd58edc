//! A run's policy: what the gate does where the ledger leaves room.
//!
//! Invariants: written into every round by its hash, so two gates under one hash ask the same.
//! What it is not: able to override a restriction on exact bytes. No field of it can.

use serde::{Deserialize, Serialize};

use protocol::codec::{self, DecodeError};
use protocol::limits::{POLICY_BYTES_MAX, WITNESSES_MAX};
use protocol::{FileHash, PublicKey};

use crate::code::CodeKind;
use crate::fingerprint::{AUDIO_DISTANCE_MAX, PASSAGES_SHARED_MIN, TEXT_DISTANCE_MAX};
use crate::standing::Standing;

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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Policy {
    /// What silence means.
    pub default: Silence,
    /// How long after its receipt an allow starts to count, in milliseconds: time for the holder
    /// of a stolen key to notice. Zero is for private runs on one's own data.
    pub cooling_ms: u64,
    /// How long after its receipt an allow counts at most, in milliseconds, whatever end it names.
    pub allow_ms_max: u64,
    /// The standing that an allow needs.
    pub allow_standing: Standing,
    /// The standing that a word about a whole place needs, such as a domain.
    pub place_standing: Standing,
    /// The identities whose attestations count, sorted.
    pub witnesses: Vec<PublicKey>,
    /// How alike is alike.
    pub likeness: Likeness,
}

/// From when on two works are taken for one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Likeness {
    /// The bits of 256 in which two PDQ codes of images may differ.
    pub pdq_distance_max: u32,
    /// The bits of 256 in which two ISCC codes of images may differ.
    pub image_distance_max: u32,
    /// The bits of 256 in which two ISCC codes of texts may differ.
    pub text_distance_max: u32,
    /// The bits of 256 in which two ISCC codes of sounds may differ.
    pub audio_distance_max: u32,
    /// How many fingerprints of passages two texts must share.
    pub passages_min: u32,
    /// How many works of one data set a self-asserted claim of likeness may refuse; a claim that
    /// matches more is taken for one about a blank page or a logo, and set aside with a note.
    pub reach_max: u32,
}

impl Default for Policy {
    /// Silence is no; allows cool for three days and count for two years.
    fn default() -> Self {
        Self {
            default: Silence::OptIn,
            cooling_ms: 3 * DAY_MS,
            allow_ms_max: 730 * DAY_MS,
            allow_standing: Standing::SelfAsserted,
            place_standing: Standing::Place,
            witnesses: Vec::new(),
            likeness: Likeness::default(),
        }
    }
}

impl Default for Likeness {
    fn default() -> Self {
        Self {
            pdq_distance_max: 31,
            image_distance_max: 31,
            text_distance_max: TEXT_DISTANCE_MAX,
            audio_distance_max: AUDIO_DISTANCE_MAX,
            passages_min: PASSAGES_SHARED_MIN,
            reach_max: 1_000,
        }
    }
}

impl Likeness {
    /// The bits in which two codes of this kind may differ.
    pub const fn distance_max(&self, kind: CodeKind) -> u32 {
        match kind {
            CodeKind::Pdq => self.pdq_distance_max,
            CodeKind::IsccImage => self.image_distance_max,
            CodeKind::IsccText => self.text_distance_max,
            CodeKind::IsccAudio => self.audio_distance_max,
        }
    }
}

impl Policy {
    /// The canonical bytes, as a `RunSpec` carries them.
    pub fn to_bytes(&self) -> Vec<u8> {
        codec::encode(self)
    }

    /// Reads untrusted bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let policy: Self = codec::decode(bytes, POLICY_BYTES_MAX as usize)?;
        let sorted = policy.witnesses.is_sorted_by(|a, b| a < b);
        if sorted && policy.witnesses.len() <= WITNESSES_MAX {
            Ok(policy)
        } else {
            Err(DecodeError::NotCanonical)
        }
    }

    /// The hash of the canonical bytes.
    pub fn hash(&self) -> FileHash {
        FileHash::of(&self.to_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::SecretKey;

    #[test]
    fn the_hash_is_of_every_field_and_pinned() {
        let policy = Policy::default();
        assert_eq!(Policy::from_bytes(&policy.to_bytes()), Ok(policy.clone()));
        let key = |seed| SecretKey::from_seed(&[seed; 32]).public();
        let nearer = Likeness { pdq_distance_max: 20, ..Likeness::default() };
        let others = [
            Policy { default: Silence::OptOut, ..policy.clone() },
            Policy { cooling_ms: 0, ..policy.clone() },
            Policy { allow_ms_max: 1, ..policy.clone() },
            Policy { allow_standing: Standing::Place, ..policy.clone() },
            Policy { place_standing: Standing::SelfAsserted, ..policy.clone() },
            Policy { witnesses: vec![key(1)], ..policy.clone() },
            Policy { likeness: nearer, ..policy.clone() },
        ];
        assert!(others.iter().all(|other| other.hash() != policy.hash()));
        assert_eq!(policy.hash().to_string(), PINNED);

        let mut witnesses = vec![key(1), key(2)];
        witnesses.sort_by(|a, b| b.cmp(a));
        let unsorted = Policy { witnesses, ..policy };
        assert!(Policy::from_bytes(&unsorted.to_bytes()).is_err());
    }

    const PINNED: &str = "7ec6a709753dca823573b222187d30a9471fc85e4703eaf31aacd680eb1a0930";
}
