//! Checkpoints: what a log signs to commit to its entries (C2SP tlog-checkpoint).
//!
//! ```text
//! <origin>
//! <size, decimal>
//! base64(root)
//! <extension lines, if any>
//! ```
//!
//! Invariants: a text that parses is the one that the value prints, so what was signed can be
//! rebuilt; a [`SignedCheckpoint`] carries a valid signature by a key of its log.
//! What it is not: consistent with earlier ones. A witness checks that.

use std::fmt;
use std::str::FromStr;

use super::note::{Note, NoteError, NoteSignature, VerifyError};
use super::tree::TreeHash;
use super::vkey::{SigningKey, VerifierKey};
use crate::limits::{LOG_NAME_BYTES_MAX, LOG_SIZE_MAX};

/// Why a text is not a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// Fewer than three lines, or the last one not ended by a newline.
    #[error("a checkpoint has three lines or more, each ended by a newline")]
    Lines,
    /// The origin is empty, too long or has a control character.
    #[error("the origin is empty, too long or has a control character")]
    Origin,
    /// The size is not a decimal number without leading zeros, or above [`LOG_SIZE_MAX`].
    #[error("{0:?} is not a tree's size")]
    Size(String),
    /// The root is not base64 of 32 bytes.
    #[error("the root is not base64 of 32 bytes")]
    Root,
    /// An extension line is empty or has a control character.
    #[error("an extension line is empty or has a control character")]
    Extension,
}

/// Why bytes are not a checkpoint of the log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenCheckpointError {
    /// Not a signed note.
    #[error("note: {0}")]
    Note(#[from] NoteError),
    /// Not a checkpoint's text.
    #[error("checkpoint: {0}")]
    Checkpoint(#[from] CheckpointError),
    /// Another log's.
    #[error("the checkpoint is of {shown:?}, expected one of {expected:?}")]
    Origin {
        /// The origin it names.
        shown: String,
        /// The origin asked for.
        expected: String,
    },
    /// Not signed by a key of the log.
    #[error("signature: {0}")]
    Signature(#[from] VerifyError),
}

/// A log's origin, size and root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    origin: String,
    size: u64,
    root: TreeHash,
    extensions: Vec<String>,
}

impl Checkpoint {
    /// The checkpoint of these parts. C2SP advises against extension lines: no witness checks them.
    pub fn new(
        origin: &str,
        size: u64,
        root: TreeHash,
        extensions: Vec<String>,
    ) -> Result<Self, CheckpointError> {
        if !is_line(origin) || origin.len() > LOG_NAME_BYTES_MAX {
            return Err(CheckpointError::Origin);
        }
        if size > LOG_SIZE_MAX {
            return Err(CheckpointError::Size(size.to_string()));
        }
        if !extensions.iter().all(|line| is_line(line)) {
            return Err(CheckpointError::Extension);
        }
        Ok(Self { origin: origin.into(), size, root, extensions })
    }

    /// Which log it is of.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// How many entries the log has.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The root of the tree over them.
    pub fn root(&self) -> TreeHash {
        self.root
    }

    /// Lines after the third, which the log signs and no witness checks.
    pub fn extensions(&self) -> &[String] {
        &self.extensions
    }

    /// Signs it with the log's keys.
    pub fn sign(self, keys: &[&SigningKey]) -> Result<SignedCheckpoint, NoteError> {
        let note = Note::sign(&self.to_string(), keys)?;
        Ok(SignedCheckpoint { checkpoint: self, note })
    }
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n{}\n{}", self.origin, self.size, self.root)?;
        self.extensions.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

impl FromStr for Checkpoint {
    type Err = CheckpointError;

    fn from_str(text: &str) -> Result<Self, CheckpointError> {
        let mut lines = text.strip_suffix('\n').ok_or(CheckpointError::Lines)?.split('\n');
        let mut line = || lines.next().ok_or(CheckpointError::Lines);
        let (origin, size, root) = (line()?, line()?, line()?);
        let size = parse_decimal(size)
            .ok_or_else(|| CheckpointError::Size(size.chars().take(80).collect()))?;
        let root = TreeHash::from_base64(root).ok_or(CheckpointError::Root)?;
        Self::new(origin, size, root, lines.map(String::from).collect())
    }
}

/// A checkpoint with a valid signature by a key of its log, and whatever other signatures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedCheckpoint {
    checkpoint: Checkpoint,
    note: Note,
}

impl SignedCheckpoint {
    /// Opens untrusted bytes as a checkpoint of `origin`, signed by one of `keys` at least.
    pub fn open(
        bytes: &[u8],
        origin: &str,
        keys: &[VerifierKey],
    ) -> Result<Self, OpenCheckpointError> {
        Self::from_note(Note::parse(bytes)?, origin, keys)
    }

    pub(super) fn from_note(
        note: Note,
        origin: &str,
        keys: &[VerifierKey],
    ) -> Result<Self, OpenCheckpointError> {
        note.verify(keys)?;
        let checkpoint: Checkpoint = note.text().parse()?;
        if checkpoint.origin != origin {
            let (shown, expected) = (checkpoint.origin, origin.into());
            return Err(OpenCheckpointError::Origin { shown, expected });
        }
        Ok(Self { checkpoint, note })
    }

    /// The checkpoint.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// The note that carries it.
    pub fn note(&self) -> &Note {
        &self.note
    }

    /// Adds those of a witness's answer's signatures that verify under `keys`; unknown ones are
    /// left out, and a forged one refuses the answer. Says how many were taken.
    pub fn add_cosignatures(
        &mut self,
        lines: &str,
        keys: &[VerifierKey],
    ) -> Result<usize, OpenCheckpointError> {
        let mut taken: Vec<NoteSignature> = Vec::new();
        for signature in NoteSignature::parse_lines(lines)? {
            if !keys.iter().any(|key| key.is_named_by(&signature)) {
                continue;
            }
            if !keys.iter().any(|key| key.verify(self.note.text(), &signature).is_some()) {
                return Err(VerifyError::Forged(signature.name().into()).into());
            }
            taken.push(signature);
        }
        let count = taken.len();
        self.note.push(taken)?;
        Ok(count)
    }
}

/// A number in decimal without sign and leading zeros, at most [`LOG_SIZE_MAX`].
pub(super) fn parse_decimal(text: &str) -> Option<u64> {
    let number: u64 = text.parse().ok()?;
    (number <= LOG_SIZE_MAX && number.to_string() == text).then_some(number)
}

fn is_line(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte >= b' ')
}

#[cfg(test)]
mod tests {
    use super::super::vkey::Algorithm;
    use super::*;
    use crate::key::SecretKey;

    fn key() -> SigningKey {
        let secret = SecretKey::from_seed(&[5; 32]);
        SigningKey::new("log.example", Algorithm::Ed25519, secret).expect("name")
    }

    #[test]
    fn a_checkpoint_survives_its_text() {
        let root = TreeHash::of_entry(b"a");
        for extensions in [vec![], vec!["one".into(), "two words".into()]] {
            let checkpoint = Checkpoint::new("a log", 12, root, extensions).expect("parts");
            assert_eq!(checkpoint.to_string().parse(), Ok(checkpoint));
        }
    }

    #[test]
    fn texts_that_are_no_checkpoints_are_named() {
        let root = TreeHash::EMPTY.to_string();
        let parse = |text: String| text.parse::<Checkpoint>();
        assert_eq!(parse("a\n1\n".into()), Err(CheckpointError::Lines));
        assert_eq!(parse(format!("a\n1\n{root}")), Err(CheckpointError::Lines));
        assert_eq!(parse(format!("\n1\n{root}\n")), Err(CheckpointError::Origin));
        for size in ["", "01", "+1", "-1", "1 ", "0x1", "9223372036854775808", "1e3"] {
            let error = Err(CheckpointError::Size(size.into()));
            assert_eq!(parse(format!("a\n{size}\n{root}\n")), error);
        }
        assert!(parse(format!("a\n0\n{root}\n")).is_ok());
        assert_eq!(parse(format!("a\n1\n{}\n", &root[4..])), Err(CheckpointError::Root));
        assert_eq!(parse(format!("a\n1\n{root}\n\n")), Err(CheckpointError::Extension));
    }

    #[test]
    fn no_bit_of_a_signed_checkpoint_is_free() {
        let keys = [key().public().clone()];
        let root = TreeHash::of_entry(b"a");
        let signed = Checkpoint::new("log.example", 1, root, Vec::new())
            .expect("parts")
            .sign(&[&key()])
            .expect("a text");
        let bytes = signed.note().to_bytes();
        assert_eq!(SignedCheckpoint::open(&bytes, "log.example", &keys), Ok(signed));
        for bit in 0..bytes.len() * 8 {
            let mut forged = bytes.clone();
            forged[bit / 8] ^= 1 << (bit % 8);
            assert!(SignedCheckpoint::open(&forged, "log.example", &keys).is_err(), "bit {bit}");
        }
        let wrong = SignedCheckpoint::open(&bytes, "other.example", &keys);
        assert!(matches!(wrong, Err(OpenCheckpointError::Origin { .. })));
    }
}
