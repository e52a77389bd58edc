//! Signed notes: a text with signature lines below it (C2SP signed-note).
//!
//! ```text
//! <text, each line ended by a newline>
//! <empty line>
//! — <key name> base64(4-byte key id || signature)
//! ```
//!
//! Invariants: a note that parses prints as exactly the bytes it was parsed from; signatures by
//! unknown keys are ignored; one that claims a known key and does not verify condemns the note.
//! What it is not: an opinion on the text, which must not be used before [`Note::verify`].

use std::fmt;

use super::base64;
use super::vkey::{Algorithm, SigningKey, VerifierKey, is_name};
use crate::limits::{LOG_NOTE_BYTES_MAX, LOG_NOTE_SIGNATURES_MAX};

const DASH: &str = "— ";

/// Why bytes are not a note.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// Longer than [`LOG_NOTE_BYTES_MAX`].
    #[error("a note has at most {LOG_NOTE_BYTES_MAX} bytes, this has {0}")]
    TooLong(usize),
    /// Not UTF-8, or with a control character other than newline.
    #[error("a note is UTF-8 without control characters")]
    Characters,
    /// No empty line between text and signatures, or no newline at the end.
    #[error("a note is a text, an empty line and signature lines")]
    Form,
    /// A signature line is malformed.
    #[error("signature line {0} is malformed")]
    Signature(usize),
    /// More than [`LOG_NOTE_SIGNATURES_MAX`] signatures.
    #[error("a note has at most {LOG_NOTE_SIGNATURES_MAX} signatures")]
    TooManySignatures,
}

/// Why a note is not to be believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// A signature claims a known key and does not verify.
    #[error("the signature that claims to be by {0} does not verify")]
    Forged(String),
    /// No known key has signed.
    #[error("no known key has signed the note")]
    Unsigned,
}

/// A signature line of a note.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoteSignature {
    name: String,
    id: u32,
    bytes: Vec<u8>,
}

impl NoteSignature {
    /// The line for a signature by `key`.
    pub(super) fn new(key: &VerifierKey, bytes: Vec<u8>) -> Self {
        Self { name: key.name().into(), id: key.id(), bytes }
    }

    /// The name of the key that it claims to be by.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The id of the key that it claims to be by.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// The signature, as its type has it.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The signatures of lines such as a witness answers with; no lines are no signatures.
    pub fn parse_lines(lines: &str) -> Result<Vec<Self>, NoteError> {
        if lines.len() > LOG_NOTE_BYTES_MAX {
            return Err(NoteError::TooLong(lines.len()));
        }
        let mut signatures = Vec::new();
        for (index, line) in lines.split_inclusive('\n').enumerate() {
            if signatures.len() == LOG_NOTE_SIGNATURES_MAX {
                return Err(NoteError::TooManySignatures);
            }
            signatures.push(Self::parse(line).ok_or(NoteError::Signature(index + 1))?);
        }
        Ok(signatures)
    }

    fn parse(line: &str) -> Option<Self> {
        let (name, bytes) = line.strip_suffix('\n')?.strip_prefix(DASH)?.split_once(' ')?;
        let bytes = base64::decode(bytes)?;
        let (id, signature) = bytes.split_first_chunk()?;
        if !is_name(name) || signature.is_empty() {
            return None;
        }
        Some(Self { name: name.into(), id: u32::from_be_bytes(*id), bytes: signature.to_vec() })
    }
}

/// The line, its newline included.
impl fmt::Display for NoteSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = [&self.id.to_be_bytes()[..], &self.bytes].concat();
        writeln!(f, "{DASH}{} {}", self.name, base64::encode(&bytes))
    }
}

/// A signature that verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verified<'k> {
    /// Whose it is.
    pub key: &'k VerifierKey,
    /// When a cosignature was made, in seconds since 1970.
    pub time_s: Option<u64>,
}

/// A text with its signatures, not verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    text: String,
    signatures: Vec<NoteSignature>,
}

impl Note {
    /// Reads untrusted bytes.
    pub fn parse(bytes: &[u8]) -> Result<Self, NoteError> {
        if bytes.len() > LOG_NOTE_BYTES_MAX {
            return Err(NoteError::TooLong(bytes.len()));
        }
        let note = std::str::from_utf8(bytes).map_err(|_| NoteError::Characters)?;
        if !is_text(note) {
            return Err(NoteError::Characters);
        }
        // The text keeps the first of the two newlines.
        let end = note.rfind("\n\n").ok_or(NoteError::Form)? + 1;
        let (text, lines) = (&note[..end], &note[end + 1..]);
        if lines.is_empty() {
            return Err(NoteError::Form);
        }
        Ok(Self { text: text.into(), signatures: NoteSignature::parse_lines(lines)? })
    }

    /// A note of this text, which ends in a newline and is signed by each of these keys.
    ///
    /// A key of type [`Algorithm::Cosignature`] has no place here: it signs with a time, and
    /// checkpoints only.
    pub fn sign(text: &str, keys: &[&SigningKey]) -> Result<Self, NoteError> {
        if !text.ends_with('\n') {
            return Err(NoteError::Form);
        }
        if !is_text(text) {
            return Err(NoteError::Characters);
        }
        if keys.is_empty() || keys.iter().any(|k| k.public().algorithm() != Algorithm::Ed25519) {
            return Err(NoteError::Signature(1));
        }
        let sign = |key: &&SigningKey| {
            NoteSignature::new(key.public(), key.sign_bytes(text.as_bytes()).to_vec())
        };
        let mut note = Self { text: text.into(), signatures: Vec::new() };
        note.push(keys.iter().map(sign))?;
        Ok(note)
    }

    /// The text, its last newline included.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The signatures, in their order.
    pub fn signatures(&self) -> &[NoteSignature] {
        &self.signatures
    }

    /// The note's bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.to_string().into_bytes()
    }

    /// Adds signatures, those that the note has already aside. All or none are added.
    pub fn push(
        &mut self,
        signatures: impl IntoIterator<Item = NoteSignature>,
    ) -> Result<(), NoteError> {
        let mut note = self.clone();
        for signature in signatures {
            if !note.signatures.contains(&signature) {
                note.signatures.push(signature);
            }
        }
        if note.signatures.len() > LOG_NOTE_SIGNATURES_MAX {
            return Err(NoteError::TooManySignatures);
        }
        let bytes = note.to_string().len();
        if bytes > LOG_NOTE_BYTES_MAX {
            return Err(NoteError::TooLong(bytes));
        }
        *self = note;
        Ok(())
    }

    /// The same text with only those signatures that verify under one of `keys`.
    pub fn only(&self, keys: &[VerifierKey]) -> Self {
        let is_by = |signature: &&NoteSignature| {
            keys.iter().any(|key| key.verify(&self.text, signature).is_some())
        };
        let signatures = self.signatures.iter().filter(is_by).cloned().collect();
        Self { text: self.text.clone(), signatures }
    }

    /// Who of the owners of `keys` has signed: at least one has, and none is impersonated.
    ///
    /// A key that signed more than once, say at two times, is named more than once.
    pub fn verify<'k>(&self, keys: &'k [VerifierKey]) -> Result<Vec<Verified<'k>>, VerifyError> {
        let mut verified = Vec::new();
        for signature in &self.signatures {
            let mut named = keys.iter().filter(|key| key.is_named_by(signature)).peekable();
            if named.peek().is_none() {
                continue;
            }
            let by = named.find_map(|key| {
                let time_s = key.verify(&self.text, signature)?;
                Some(Verified { key, time_s })
            });
            verified.push(by.ok_or_else(|| VerifyError::Forged(signature.name.clone()))?);
        }
        if verified.is_empty() { Err(VerifyError::Unsigned) } else { Ok(verified) }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n{}", self.text, LinesOf(&self.signatures))
    }
}

struct LinesOf<'a>(&'a [NoteSignature]);

impl fmt::Display for LinesOf<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|signature| signature.fmt(f))
    }
}

fn is_text(text: &str) -> bool {
    text.bytes().all(|byte| byte >= b' ' || byte == b'\n')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::SecretKey;

    fn key(seed: u8) -> SigningKey {
        let secret = SecretKey::from_seed(&[seed; 32]);
        SigningKey::new(&format!("example.org/{seed}"), Algorithm::Ed25519, secret).expect("name")
    }

    #[test]
    fn a_note_of_several_signatures_opens_under_each_key() {
        let keys = [key(1), key(2), key(3)];
        let note = Note::sign("a\n\nb\n", &[&keys[0], &keys[1]]).expect("a text");
        let read = Note::parse(&note.to_bytes()).expect("its own bytes");
        assert_eq!(read, note);
        let public = keys.clone().map(|key| key.public().clone());
        let who =
            |keys| note.verify(keys).map(|v| v.iter().map(|v| v.key.id()).collect::<Vec<_>>());
        assert_eq!(who(&public), Ok(vec![public[0].id(), public[1].id()]));
        assert_eq!(who(&public[1..]), Ok(vec![public[1].id()]));
        assert_eq!(note.verify(&public[2..]), Err(VerifyError::Unsigned));
        assert_eq!(note.only(&public[1..]).signatures(), &note.signatures()[1..]);
    }

    #[test]
    fn a_name_or_an_id_alone_is_not_the_key() {
        let (ours, other) = (key(1), key(2));
        let note = Note::sign("text\n", &[&ours]).expect("a text");
        let mut renamed = note.clone();
        renamed.signatures[0].name = other.public().name().into();
        assert_eq!(renamed.verify(&[ours.public().clone()]), Err(VerifyError::Unsigned));
        let mut forged = note.clone();
        forged.signatures.push(NoteSignature::new(other.public(), vec![0; 64]));
        let both = [ours.public().clone(), other.public().clone()];
        assert_eq!(forged.verify(&both), Err(VerifyError::Forged("example.org/2".into())));
        assert!(forged.verify(&both[..1]).is_ok(), "to whom it is an unknown key");
    }

    #[test]
    fn malformed_notes_are_refused() {
        let note = Note::sign("text\n", &[&key(1)]).expect("a text").to_string();
        let line = note.lines().last().expect("a line");
        let no_newline = note.trim_end();
        for (text, error) in [
            ("text\n", NoteError::Form),
            ("text\n\n", NoteError::Form),
            (no_newline, NoteError::Signature(1)),
            (&format!("text\n{line}\n"), NoteError::Form),
            (&format!("text\n\n{line} \n"), NoteError::Signature(1)),
            (&format!("text\n\n{line}\nmore\n"), NoteError::Signature(2)),
            (&note.replace('—', "-"), NoteError::Signature(1)),
            (&note.replace("text", "te\rxt"), NoteError::Characters),
            ("text\n\n— a AAAAAA==\n", NoteError::Signature(1)),
            ("text\n\n— a+b AAAAAAA=\n", NoteError::Signature(1)),
        ] {
            assert_eq!(Note::parse(text.as_bytes()), Err(error), "{text:?}");
        }
        assert_eq!(Note::parse(b"\xff\n\n"), Err(NoteError::Characters));
        let many = format!("text\n\n{}", format!("{line}\n").repeat(LOG_NOTE_SIGNATURES_MAX + 1));
        assert_eq!(Note::parse(many.as_bytes()), Err(NoteError::TooManySignatures));
        let long = vec![b'a'; LOG_NOTE_BYTES_MAX + 1];
        assert_eq!(Note::parse(&long), Err(NoteError::TooLong(long.len())));
        assert_eq!(Note::sign("no newline", &[&key(1)]), Err(NoteError::Form));
        assert!(Note::sign("text\n", &[]).is_err());
    }

    #[test]
    fn no_bit_of_a_note_is_free() {
        let key = key(1);
        let note = Note::sign("text of two\nlines\n", &[&key]).expect("a text").to_bytes();
        for bit in 0..note.len() * 8 {
            let mut forged = note.clone();
            forged[bit / 8] ^= 1 << (bit % 8);
            let opened =
                Note::parse(&forged).map(|note| note.verify(&[key.public().clone()]).is_ok());
            assert_ne!(opened, Ok(true), "bit {bit}");
        }
    }
}
