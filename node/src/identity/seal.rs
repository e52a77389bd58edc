//! What a passphrase does: Argon2id (RFC 9106) makes a key of it, ChaCha20-Poly1305 (RFC 8439)
//! seals with that.
//!
//! Invariants: every sealing has a new salt and nonce; what stands around the sealed text is
//! authenticated with it; parameters come from the file and are bounded before any work.
//! What it is not: a way to a forgotten passphrase.

use argon2::{Algorithm, Argon2, Params, Version};
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{ChaCha20Poly1305, Key, Nonce};

use protocol::limits::{
    PASSPHRASE_BYTES_MAX, SEAL_LANES_MAX, SEAL_MEMORY_MAX_KIB, SEAL_PASSES_MAX,
};

use crate::api::dto::Passphrase;
use crate::home::{HomeError, fresh_seed};

/// The second recommended option of RFC 9106, section 4: for machines without gigabytes to spare.
const MEMORY_KIB: u32 = 65_536;
const PASSES: u32 = 3;
const LANES: u32 = 4;

/// Why something cannot be sealed or opened.
#[derive(Debug, thiserror::Error)]
pub(super) enum SealError {
    #[error("the passphrase's length")]
    Length,
    #[error("the line is of no form that is known")]
    Form,
    #[error("the passphrase is wrong, or the text damaged")]
    Wrong,
    #[error("{0}")]
    Derive(argon2::Error),
    #[error(transparent)]
    Randomness(#[from] HomeError),
}

/// How a text is sealed: the parameters that stand before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seal {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
    salt: [u8; 16],
    nonce: [u8; 12],
}

impl Seal {
    /// The parameters of today, with a new salt and nonce.
    pub(super) fn fresh() -> Result<Self, SealError> {
        let (salt, nonce) = (fresh_seed()?, fresh_seed()?);
        let cut = "32 bytes are more";
        Ok(Self {
            memory_kib: MEMORY_KIB,
            passes: PASSES,
            lanes: LANES,
            salt: *salt.first_chunk().expect(cut),
            nonce: *nonce.first_chunk().expect(cut),
        })
    }

    /// The parameters as a line.
    pub(super) fn line(&self) -> String {
        let Self { memory_kib, passes, lanes, salt, nonce } = self;
        let (salt, nonce) = (hex::encode(salt), hex::encode(nonce));
        format!(
            "argon2id v=19 m={memory_kib} t={passes} p={lanes} salt={salt} chacha20-poly1305 \
             nonce={nonce}"
        )
    }

    /// The parameters of a line, within bounds.
    pub(super) fn parse(line: &str) -> Result<Self, SealError> {
        let words: Vec<&str> = line.split(' ').collect();
        let ["argon2id", "v=19", m, t, p, salt, "chacha20-poly1305", nonce] = words[..] else {
            return Err(SealError::Form);
        };
        let number = |word: &str, name: &str, max: u32| {
            let value = word.strip_prefix(name).and_then(|value| value.parse().ok());
            value.filter(|value| (1..=max).contains(value)).ok_or(SealError::Form)
        };
        let mut seal = Self {
            memory_kib: number(m, "m=", SEAL_MEMORY_MAX_KIB)?,
            passes: number(t, "t=", SEAL_PASSES_MAX)?,
            lanes: number(p, "p=", SEAL_LANES_MAX)?,
            salt: [0; 16],
            nonce: [0; 12],
        };
        let salt = salt.strip_prefix("salt=").ok_or(SealError::Form)?;
        let nonce = nonce.strip_prefix("nonce=").ok_or(SealError::Form)?;
        hex::decode_to_slice(salt, &mut seal.salt).map_err(|_| SealError::Form)?;
        hex::decode_to_slice(nonce, &mut seal.nonce).map_err(|_| SealError::Form)?;
        Ok(seal)
    }

    /// Seals `text`, and `around` with it.
    pub(super) fn seal(
        &self,
        passphrase: &Passphrase,
        text: &[u8],
        around: &[u8],
    ) -> Result<Vec<u8>, SealError> {
        let payload = Payload { msg: text, aad: around };
        self.cipher(passphrase)?
            .encrypt(&Nonce::from(self.nonce), payload)
            .map_err(|_| SealError::Form)
    }

    /// Opens what was sealed.
    pub(super) fn open(
        &self,
        passphrase: &Passphrase,
        sealed: &[u8],
        around: &[u8],
    ) -> Result<Vec<u8>, SealError> {
        let payload = Payload { msg: sealed, aad: around };
        self.cipher(passphrase)?
            .decrypt(&Nonce::from(self.nonce), payload)
            .map_err(|_| SealError::Wrong)
    }

    fn cipher(&self, passphrase: &Passphrase) -> Result<ChaCha20Poly1305, SealError> {
        let passphrase = passphrase.bytes();
        if !(1..=PASSPHRASE_BYTES_MAX).contains(&passphrase.len()) {
            return Err(SealError::Length);
        }
        let mut key = [0; 32];
        let params = Params::new(self.memory_kib, self.passes, self.lanes, Some(key.len()));
        let params = params.map_err(SealError::Derive)?;
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(passphrase, &self.salt, &mut key)
            .map_err(SealError::Derive)?;
        Ok(ChaCha20Poly1305::new(&Key::from(key)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Cheap parameters: what is tested does not depend on them.
    fn seal() -> Seal {
        Seal { memory_kib: 64, passes: 1, lanes: 1, ..Seal::fresh().expect("randomness") }
    }

    #[test]
    fn only_the_passphrase_opens_and_only_what_was_sealed() {
        let (seal, right) = (seal(), Passphrase::new("correct horse"));
        let sealed = seal.seal(&right, b"keys", b"around").expect("sealed");
        assert_eq!(seal.open(&right, &sealed, b"around").expect("opened"), b"keys");
        let wrong = Passphrase::new("correct house");
        assert!(matches!(seal.open(&wrong, &sealed, b"around"), Err(SealError::Wrong)));
        assert!(matches!(seal.open(&right, &sealed, b"other"), Err(SealError::Wrong)));
        for bit in 0..sealed.len() * 8 {
            let mut flipped = sealed.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(matches!(seal.open(&right, &flipped, b"around"), Err(SealError::Wrong)));
        }
        assert!(matches!(seal.seal(&Passphrase::new(""), b"", b""), Err(SealError::Length)));
    }

    #[test]
    fn parameters_are_named_and_bounded() {
        let seal = Seal::fresh().expect("randomness");
        let line = seal.line();
        assert!(line.starts_with("argon2id v=19 m=65536 t=3 p=4 salt="), "{line}");
        assert_eq!(Seal::parse(&line).expect("parsed"), seal);
        for (from, to) in
            [("m=65536", "m=99999999"), ("t=3", "t=0"), ("p=4", "p=17"), ("2id", "2d")]
        {
            assert!(matches!(Seal::parse(&line.replace(from, to)), Err(SealError::Form)), "{to}");
        }
    }

    #[test]
    fn two_sealings_differ() {
        let (one, two) = (seal(), seal());
        assert_ne!((one.salt, one.nonce), (two.salt, two.nonce));
    }
}
