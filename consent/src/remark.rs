//! A remark: text for people that stands beside a record, so that it can be erased.
//!
//! A record is hashed by the one after it and by logs, so nothing in it can ever go. What a reason, a
//! piece of evidence or a verbatim outside term says to people therefore stands beside the record,
//! which names only the remark's hash; a tombstone of the author asks everyone to erase it.
//!
//! Invariants: a remark is its author's and no other's; its salt makes a short text as hard to guess
//! from the hash as a long one; whether a remark is there, or what it says, decides nothing.
//! What it is not: signed by itself. The record that names it is.

use serde::{Deserialize, Serialize};

use protocol::codec::{self, DecodeError};
use protocol::limits::{REMARK_BYTES_MAX, REMARK_TEXT_BYTES_MAX};
use protocol::{FileHash, PublicKey};

/// Text for people, with what binds it to its author.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remark {
    author: PublicKey,
    #[serde(with = "serde_bytes")]
    salt: [u8; 16],
    text: String,
}

/// Why bytes are not the remark that a record names.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RemarkError {
    /// Not a remark.
    #[error("remark: {0}")]
    Decode(#[from] DecodeError),
    /// Text that is empty or too long.
    #[error("a remark has 1 to {REMARK_TEXT_BYTES_MAX} bytes of text, this has {0}")]
    Length(usize),
    /// Somebody else's remark, or other text than the record names.
    #[error("another remark than the one that the record names")]
    Other,
}

impl Remark {
    /// A remark of `author`; `salt` is random.
    ///
    /// # Errors
    /// [`RemarkError::Length`].
    pub fn new(author: PublicKey, salt: [u8; 16], text: String) -> Result<Self, RemarkError> {
        let remark = Self { author, salt, text };
        remark.check()?;
        Ok(remark)
    }

    /// Reads untrusted bytes that are said to be the remark which a record of `author` names by `hash`.
    pub fn open(bytes: &[u8], author: PublicKey, hash: FileHash) -> Result<Self, RemarkError> {
        let remark = Self::from_bytes(bytes)?;
        if remark.author != author || FileHash::of(bytes) != hash {
            return Err(RemarkError::Other);
        }
        Ok(remark)
    }

    /// Reads untrusted bytes; whose remark it is, and beside which record, is not known yet.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, RemarkError> {
        let remark: Self = codec::decode(bytes, REMARK_BYTES_MAX)?;
        remark.check()?;
        Ok(remark)
    }

    /// The canonical bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        codec::encode(self)
    }

    /// What a record names it by.
    pub fn hash(&self) -> FileHash {
        FileHash::of(&self.to_bytes())
    }

    /// What it says.
    pub fn text(&self) -> &str {
        &self.text
    }

    fn check(&self) -> Result<(), RemarkError> {
        match self.text.len() {
            1..=REMARK_TEXT_BYTES_MAX => Ok(()),
            bytes => Err(RemarkError::Length(bytes)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::SecretKey;

    fn author(seed: u8) -> PublicKey {
        SecretKey::from_seed(&[seed; 32]).public()
    }

    #[test]
    fn only_the_remark_that_was_named_opens() {
        let remark = Remark::new(author(1), [7; 16], "mine".into()).expect("a remark");
        let (bytes, hash) = (remark.to_bytes(), remark.hash());
        assert_eq!(Remark::open(&bytes, author(1), hash), Ok(remark));
        assert_eq!(Remark::open(&bytes, author(2), hash), Err(RemarkError::Other));
        assert_eq!(Remark::open(&bytes, author(1), FileHash::of(b"")), Err(RemarkError::Other));
        let salted = Remark::new(author(1), [8; 16], "mine".into()).expect("a remark");
        assert_ne!(salted.hash(), hash, "the hash does not tell the text");
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert!(Remark::open(&changed, author(1), hash).is_err(), "byte {at}");
        }
    }

    #[test]
    fn the_longest_remark_fits_and_no_longer_one() {
        let text = |bytes| Remark::new(author(1), [0; 16], "x".repeat(bytes));
        let longest = text(REMARK_TEXT_BYTES_MAX).expect("a remark");
        assert!(longest.to_bytes().len() <= REMARK_BYTES_MAX);
        assert!(Remark::open(&longest.to_bytes(), author(1), longest.hash()).is_ok());
        for bytes in [0, REMARK_TEXT_BYTES_MAX + 1] {
            assert_eq!(text(bytes), Err(RemarkError::Length(bytes)));
        }
    }
}
