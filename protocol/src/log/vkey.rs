//! Names with keys: who signs notes. C2SP signed-note, "Verifier keys", and the private form of
//! Go's `sumdb/note`.
//!
//! ```text
//! <name>+<key id, 8 lower-case hex digits>+base64(type || 32-byte Ed25519 key)
//! PRIVATE+KEY+<name>+<key id>+base64(type || 32-byte seed)
//! key id = SHA-256(name || 0x0A || type || public key)[:4]
//! ```
//!
//! Types: `0x01` signs a note's text, `0x04` is a cosignature with its time; others (ML-DSA-44 is
//! `0x06`) are refused by name, never skipped. Invariants: a key's id is always the one computed
//! from its name, type and key; a [`SigningKey`] never prints itself. What it is not: a key store.

use std::fmt;
use std::str::FromStr;

use super::base64;
use super::cosignature;
use super::note::NoteSignature;
use super::tree::TreeHash;
use crate::key::{PublicKey, SecretKey};
use crate::limits::LOG_NAME_BYTES_MAX;

/// What a key's signatures are over. The number is the C2SP signature type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Algorithm {
    /// The note's text, signed with Ed25519: a log's own signature.
    Ed25519 = 0x01,
    /// The text and a time, signed with Ed25519: a witness's cosignature.
    Cosignature = 0x04,
}

/// Why a text is not a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VkeyError {
    /// Not three parts with `+` between, or `PRIVATE+KEY+` missing before them.
    #[error("not of the form name+id+key")]
    Form,
    /// The name is empty, too long, or has a space, a plus or a control character.
    #[error("{0:?} is no name for a key")]
    Name(String),
    /// The id is not eight lower-case hex digits, or not that of the name and key.
    #[error("the key id is not that of the name and key")]
    Id,
    /// The key's bytes are not base64 of a type and 32 bytes.
    #[error("the key is not base64 of a type and 32 bytes")]
    Encoding,
    /// A signature type that is not supported.
    #[error("signature type {0:#04x} is not supported")]
    Type(u8),
    /// Not a valid point of the curve, or a weak one.
    #[error("not a valid Ed25519 public key")]
    Key,
}

/// A named public key that verifies signatures of notes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct VerifierKey {
    name: String,
    algorithm: Algorithm,
    key: PublicKey,
    id: u32,
}

impl VerifierKey {
    /// The key with this name.
    pub fn new(name: &str, algorithm: Algorithm, key: PublicKey) -> Result<Self, VkeyError> {
        if !is_name(name) {
            return Err(VkeyError::Name(name.chars().take(80).collect()));
        }
        let parts = [name.as_bytes(), b"\n", &[algorithm as u8], key.as_bytes()];
        let [a, b, c, d, ..] = *TreeHash::of_parts(&parts).as_bytes();
        Ok(Self { name: name.into(), algorithm, key, id: u32::from_be_bytes([a, b, c, d]) })
    }

    /// The name, for a log the origin of its checkpoints.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What its signatures are over.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The key itself.
    pub fn key(&self) -> PublicKey {
        self.key
    }

    /// The short id by which signature lines name the key.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Whether a signature line says that it is by this key.
    pub fn is_named_by(&self, signature: &NoteSignature) -> bool {
        signature.name() == self.name && signature.id() == self.id
    }

    /// Whether `signature` is this key's over a note's text; for a cosignature, at what time, in
    /// seconds since 1970.
    pub fn verify(&self, text: &str, signature: &NoteSignature) -> Option<Option<u64>> {
        if !self.is_named_by(signature) {
            return None;
        }
        match self.algorithm {
            Algorithm::Ed25519 => {
                let bytes = signature.bytes().try_into().ok()?;
                self.key.verifies(text.as_bytes(), bytes).then_some(None)
            }
            Algorithm::Cosignature => {
                cosignature::verify(text, signature.bytes(), &self.key).map(Some)
            }
        }
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = typed(self.algorithm, self.key.as_bytes());
        write!(f, "{}+{:08x}+{key}", self.name, self.id)
    }
}

impl FromStr for VerifierKey {
    type Err = VkeyError;

    fn from_str(text: &str) -> Result<Self, VkeyError> {
        let (name, id, algorithm, bytes) = parts(text)?;
        let key = PublicKey::from_bytes(bytes).map_err(|_| VkeyError::Key)?;
        let key = Self::new(name, algorithm, key)?;
        if format!("{:08x}", key.id) == id { Ok(key) } else { Err(VkeyError::Id) }
    }
}

/// A named private key that signs notes.
#[derive(Clone)]
pub struct SigningKey {
    public: VerifierKey,
    secret: SecretKey,
}

impl SigningKey {
    /// The key with this name.
    pub fn new(name: &str, algorithm: Algorithm, secret: SecretKey) -> Result<Self, VkeyError> {
        Ok(Self { public: VerifierKey::new(name, algorithm, secret.public())?, secret })
    }

    /// The key of a text `PRIVATE+KEY+...`.
    pub fn from_secret_text(text: &str) -> Result<Self, VkeyError> {
        let (name, id, algorithm, seed) =
            parts(text.strip_prefix("PRIVATE+KEY+").ok_or(VkeyError::Form)?)?;
        let key = Self::new(name, algorithm, SecretKey::from_seed(&seed))?;
        if format!("{:08x}", key.public.id) == id { Ok(key) } else { Err(VkeyError::Id) }
    }

    /// The text `PRIVATE+KEY+...`, which is the secret itself: for a key file, never for a log.
    pub fn to_secret_text(&self) -> String {
        let seed = typed(self.public.algorithm, &self.secret.seed());
        format!("PRIVATE+KEY+{}+{:08x}+{seed}", self.public.name, self.public.id)
    }

    /// The public half.
    pub fn public(&self) -> &VerifierKey {
        &self.public
    }

    /// The Ed25519 signature over `message`; what is signed is up to the caller.
    pub(super) fn sign_bytes(&self, message: &[u8]) -> [u8; 64] {
        self.secret.sign(message)
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey(of {})", self.public.name)
    }
}

/// Whether a text may name a key: no space, no plus, no control character, not empty.
pub(super) fn is_name(name: &str) -> bool {
    let is_bad = |c: char| c.is_whitespace() || c.is_control() || c == '+';
    !name.is_empty() && name.len() <= LOG_NAME_BYTES_MAX && !name.contains(is_bad)
}

fn typed(algorithm: Algorithm, key: &[u8; 32]) -> String {
    base64::encode(&[&[algorithm as u8][..], key].concat())
}

/// Name, id, type and key of `name+id+key`.
fn parts(text: &str) -> Result<(&str, &str, Algorithm, [u8; 32]), VkeyError> {
    let (name, rest) = text.split_once('+').ok_or(VkeyError::Form)?;
    let (id, key) = rest.split_once('+').ok_or(VkeyError::Form)?;
    let bytes = base64::decode(key).ok_or(VkeyError::Encoding)?;
    let (&kind, key) = bytes.split_first().ok_or(VkeyError::Encoding)?;
    let algorithm = match kind {
        0x01 => Algorithm::Ed25519,
        0x04 => Algorithm::Cosignature,
        other => return Err(VkeyError::Type(other)),
    };
    Ok((name, id, algorithm, key.try_into().map_err(|_| VkeyError::Encoding)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(algorithm: Algorithm) -> SigningKey {
        SigningKey::new("example.org/log", algorithm, SecretKey::from_seed(&[3; 32])).expect("name")
    }

    #[test]
    fn keys_survive_their_text() {
        for algorithm in [Algorithm::Ed25519, Algorithm::Cosignature] {
            let key = key(algorithm);
            assert_eq!(key.public().to_string().parse(), Ok(key.public().clone()));
            let again = SigningKey::from_secret_text(&key.to_secret_text()).expect("its own text");
            assert_eq!(again.public(), key.public());
            assert!(!format!("{key:?}").contains(&key.to_secret_text()[40..]));
        }
        let ids = [Algorithm::Ed25519, Algorithm::Cosignature].map(|a| key(a).public().id());
        assert_ne!(ids[0], ids[1], "one key has an id for each use");
    }

    #[test]
    fn any_change_of_a_character_is_refused() {
        let text = key(Algorithm::Ed25519).public().to_string();
        for at in 0..text.len() {
            for change in [1, 2, 32] {
                let mut bytes = text.clone().into_bytes();
                bytes[at] ^= change;
                let changed = String::from_utf8(bytes).expect("ASCII");
                assert!(changed.parse::<VerifierKey>().is_err(), "{changed}");
            }
        }
    }

    #[test]
    fn texts_that_are_no_keys_are_named() {
        let parse = |text: &str| text.parse::<VerifierKey>();
        assert_eq!(parse("name+00000000"), Err(VkeyError::Form));
        assert_eq!(parse("name+00000000+AA="), Err(VkeyError::Encoding));
        assert_eq!(parse("name+00000000+Bg=="), Err(VkeyError::Type(6)));
        assert_eq!(parse("name+00000000+AQ=="), Err(VkeyError::Encoding));
        let weak = typed(Algorithm::Ed25519, &[0; 32]);
        assert_eq!(parse(&format!("name+00000000+{weak}")), Err(VkeyError::Key));
        let key = typed(Algorithm::Ed25519, key(Algorithm::Ed25519).public().key().as_bytes());
        assert_eq!(parse(&format!("name+00000000+{key}")), Err(VkeyError::Id));
        for name in ["", "a b", "a\u{2003}b", "a\nb", "a\u{1}b", &"a".repeat(256)] {
            let text = format!("{name}+00000000+{key}");
            assert!(matches!(parse(&text), Err(VkeyError::Name(_))), "{name:?}");
        }
        assert!(SigningKey::from_secret_text("PRIVATE+KEY+a").is_err());
        assert!(SigningKey::from_secret_text("a+b+c").is_err());
    }
}
