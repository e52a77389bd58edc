//! Cosignatures: a witness says that, at a time, a checkpoint was the largest consistent one that
//! it had seen of its log (C2SP tlog-cosignature, `cosignature/v1`, type `0x04`).
//!
//! ```text
//! signature = 8-byte big-endian seconds since 1970 || Ed25519 over
//!   cosignature/v1
//!   time <seconds, decimal>
//!   <the checkpoint's text>
//! ```
//!
//! Invariants: only checkpoints are cosigned, at a time within `1..2^63`. What it is not: the check
//! that earns a cosignature; that is [`super::witness`]. ML-DSA-44 (type `0x06`) is not supported.

use super::checkpoint::Checkpoint;
use super::note::NoteSignature;
use super::vkey::{Algorithm, SigningKey};
use crate::key::PublicKey;

/// Why a checkpoint cannot be cosigned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CosignError {
    /// The key is not of type `0x04`.
    #[error("the key signs notes, not cosignatures")]
    Key,
    /// The time is zero or above `2^63 - 1`.
    #[error("{0} is no time to cosign at")]
    Time(u64),
}

/// The cosignature of `checkpoint` at `time_s` seconds since 1970.
///
/// A witness must have recorded the checkpoint before: use [`super::witness::Pending::persisted`].
pub fn sign(
    checkpoint: &Checkpoint,
    key: &SigningKey,
    time_s: u64,
) -> Result<NoteSignature, CosignError> {
    if key.public().algorithm() != Algorithm::Cosignature {
        return Err(CosignError::Key);
    }
    if time_s == 0 || !is_time(time_s) {
        return Err(CosignError::Time(time_s));
    }
    let signature = key.sign_bytes(&message(&checkpoint.to_string(), time_s));
    Ok(NoteSignature::new(key.public(), [&time_s.to_be_bytes()[..], &signature].concat()))
}

/// The time of a cosignature by `key` over a checkpoint's text, if it is one.
pub(super) fn verify(text: &str, signature: &[u8], key: &PublicKey) -> Option<u64> {
    let (time, signature) = signature.split_first_chunk()?;
    let time_s = u64::from_be_bytes(*time);
    let signature = signature.try_into().ok()?;
    (is_time(time_s) && key.verifies(&message(text, time_s), signature)).then_some(time_s)
}

fn is_time(time_s: u64) -> bool {
    i64::try_from(time_s).is_ok()
}

fn message(text: &str, time_s: u64) -> Vec<u8> {
    format!("cosignature/v1\ntime {time_s}\n{text}").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::super::note::Note;
    use super::super::tree::TreeHash;
    use super::*;
    use crate::key::SecretKey;

    fn key(algorithm: Algorithm) -> SigningKey {
        SigningKey::new("w.example", algorithm, SecretKey::from_seed(&[9; 32])).expect("name")
    }

    fn checkpoint() -> Checkpoint {
        Checkpoint::new("log.example", 7, TreeHash::EMPTY, Vec::new()).expect("an origin")
    }

    #[test]
    fn a_cosignature_verifies_with_its_time_and_no_other() {
        let key = key(Algorithm::Cosignature);
        let signature = sign(&checkpoint(), &key, 1_679_315_147).expect("a time");
        let text = checkpoint().to_string();
        assert_eq!(key.public().verify(&text, &signature), Some(Some(1_679_315_147)));
        for bit in 0..signature.bytes().len() * 8 {
            let mut bytes = signature.bytes().to_vec();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let forged = NoteSignature::new(key.public(), bytes);
            assert_eq!(key.public().verify(&text, &forged), None, "bit {bit}");
        }
        assert_eq!(key.public().verify(&text.replace('7', "8"), &signature), None);
    }

    #[test]
    fn a_key_of_one_use_serves_no_other() {
        let (signer, cosigner) = (key(Algorithm::Ed25519), key(Algorithm::Cosignature));
        assert_eq!(sign(&checkpoint(), &signer, 1), Err(CosignError::Key));
        assert!(Note::sign("text\n", &[&cosigner]).is_err());
        // The log's signature under the cosigner's id: its bytes are not a cosignature.
        let note = Note::sign(&checkpoint().to_string(), &[&signer]).expect("a text");
        let moved = NoteSignature::new(cosigner.public(), note.signatures()[0].bytes().to_vec());
        assert_eq!(cosigner.public().verify(note.text(), &moved), None);
    }

    #[test]
    fn times_out_of_range_are_not_signed_and_not_believed() {
        let key = key(Algorithm::Cosignature);
        for time_s in [0, 1 << 63, u64::MAX] {
            assert_eq!(sign(&checkpoint(), &key, time_s), Err(CosignError::Time(time_s)));
        }
        let text = checkpoint().to_string();
        let bytes = [&u64::MAX.to_be_bytes()[..], &key.sign_bytes(&message(&text, u64::MAX))];
        let late = NoteSignature::new(key.public(), bytes.concat());
        assert_eq!(key.public().verify(&text, &late), None);
    }
}
