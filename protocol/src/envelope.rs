//! The envelope of everything signed: COSE_Sign1 (RFC 9052, tag 18) with EdDSA.
//!
//! Protected header: `alg` = EdDSA and `kid` = the signer's 32-byte public key. Payload: the
//! message in [`codec`] form. External AAD: the message type's domain, so that a signature for one
//! type never serves another.
//!
//! Invariants: [`Signed::open`] bounds, decodes, verifies, then checks, in that order; the bytes
//! are kept and forwarded exactly as received, and one message of one signer has one id.
//! What it is not: a judgement on what the message means.

use std::sync::Arc;

use coset::{
    CoseSign1, CoseSign1Builder, HeaderBuilder, RegisteredLabelWithPrivate, TaggedCborSerializable,
    iana,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::codec::{self, DecodeError};
use crate::id::FileHash;
use crate::key::{PublicKey, SecretKey};

/// A type that travels signed.
pub trait Message: Serialize + DeserializeOwned {
    /// The external AAD, such as `accord/update/v1`; one per type.
    const DOMAIN: &'static str;
    /// The longest envelope accepted, in bytes.
    const BYTES_MAX: usize;

    /// Checks that need nothing but the message and its signer: ranges, orders, who may sign.
    fn check(&self, signer: &PublicKey) -> Result<(), String>;
}

/// Why bytes are not a signed message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The envelope is too long or malformed.
    #[error("envelope: {0}")]
    Envelope(DecodeError),
    /// The header is not the one we use.
    #[error("header is not EdDSA with a 32-byte key id")]
    Header,
    /// The signature does not verify.
    #[error("signature does not verify")]
    Signature,
    /// The payload is malformed.
    #[error("payload: {0}")]
    Payload(DecodeError),
    /// The message breaks a rule of its type.
    #[error("{0}")]
    Rule(String),
}

/// A message with its signer and the exact bytes that carry it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed<T> {
    value: T,
    signer: PublicKey,
    id: FileHash,
    bytes: Arc<[u8]>,
}

impl<T> Signed<T> {
    /// The message.
    pub fn value(&self) -> &T {
        &self.value
    }

    /// Whose signature it carries.
    pub fn signer(&self) -> PublicKey {
        self.signer
    }

    /// The blake3 hash of the envelope's bytes.
    pub fn id(&self) -> FileHash {
        self.id
    }

    /// The envelope, exactly as signed or received.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl<T: Message> Signed<T> {
    /// Signs `value`.
    pub fn sign(value: T, key: &SecretKey) -> Self {
        let sign1 = unsigned(key.public(), codec::encode(&value));
        let signature = key.sign(&sign1.tbs_data(T::DOMAIN.as_bytes()));
        let bytes = CoseSign1 { signature: signature.to_vec(), ..sign1 }
            .to_tagged_vec()
            .expect("an envelope of byte strings always encodes");
        Self { value, signer: key.public(), id: FileHash::of(&bytes), bytes: bytes.into() }
    }

    /// Opens untrusted bytes.
    pub fn open(bytes: &[u8]) -> Result<Self, OpenError> {
        let bytes_max = T::BYTES_MAX;
        if bytes.len() > bytes_max {
            let too_long = DecodeError::TooLong { bytes: bytes.len(), bytes_max };
            return Err(OpenError::Envelope(too_long));
        }
        let sign1 = CoseSign1::from_tagged_slice(bytes)
            .map_err(|e| OpenError::Envelope(DecodeError::Malformed(e.to_string())))?;
        let signer = signer_of(&sign1)?;
        let signature: [u8; 64] =
            sign1.signature.as_slice().try_into().map_err(|_| OpenError::Signature)?;
        let payload = sign1.payload.ok_or(OpenError::Header)?;
        let expected = unsigned(signer, payload);
        if !signer.verifies(&expected.tbs_data(T::DOMAIN.as_bytes()), &signature) {
            return Err(OpenError::Signature);
        }
        let expected = CoseSign1 { signature: signature.to_vec(), ..expected };
        let payload = expected.payload.clone().unwrap_or_default();
        let again = expected
            .to_tagged_vec()
            .map_err(|e| OpenError::Envelope(DecodeError::Malformed(e.to_string())))?;
        if again != bytes {
            return Err(OpenError::Envelope(DecodeError::NotCanonical));
        }
        let value: T = codec::decode(&payload, bytes_max).map_err(OpenError::Payload)?;
        value.check(&signer).map_err(OpenError::Rule)?;
        Ok(Self { value, signer, id: FileHash::of(bytes), bytes: bytes.into() })
    }
}

fn unsigned(signer: PublicKey, payload: Vec<u8>) -> CoseSign1 {
    let protected = HeaderBuilder::new()
        .algorithm(iana::Algorithm::EdDSA)
        .key_id(signer.as_bytes().to_vec())
        .build();
    CoseSign1Builder::new().protected(protected).payload(payload).build()
}

fn signer_of(sign1: &CoseSign1) -> Result<PublicKey, OpenError> {
    let header = &sign1.protected.header;
    if header.alg != Some(RegisteredLabelWithPrivate::Assigned(iana::Algorithm::EdDSA)) {
        return Err(OpenError::Header);
    }
    let key: [u8; 32] = header.key_id.as_slice().try_into().map_err(|_| OpenError::Header)?;
    PublicKey::from_bytes(key).map_err(|_| OpenError::Header)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
    struct Note {
        text: String,
    }
    impl Message for Note {
        const DOMAIN: &'static str = "accord/test-note/v1";
        const BYTES_MAX: usize = 512;
        fn check(&self, _: &PublicKey) -> Result<(), String> {
            if self.text.is_empty() { Err("empty note".into()) } else { Ok(()) }
        }
    }

    #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
    struct OtherNote {
        text: String,
    }
    impl Message for OtherNote {
        const DOMAIN: &'static str = "accord/test-other/v1";
        const BYTES_MAX: usize = 512;
        fn check(&self, _: &PublicKey) -> Result<(), String> {
            Ok(())
        }
    }

    const PINNED: &str = "d2845826a20127045820ea4a6c63e29c520abef5507b132ec5f9954776aebebe7b92421eea69\
        1446d22ca04ca164746578746568656c6c6f58400cf3ef18fbd626cec23c80219e508cdb9f91\
        e8d5da2ca1a910490b4a53f2ef6f252b96fde5788b486f34a3f0a27c0ff8cfa486495086c3d3\
        fd6b2fbdf1008e09";

    fn note(text: &str) -> Signed<Note> {
        Signed::sign(Note { text: text.into() }, &SecretKey::from_seed(&[7; 32]))
    }

    #[test]
    fn what_was_signed_opens_to_the_same() {
        let signed = note("hello");
        assert_eq!(Signed::<Note>::open(signed.bytes()), Ok(signed));
    }

    #[test]
    fn every_flipped_bit_is_refused() {
        let bytes = note("hello").bytes().to_vec();
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(Signed::<Note>::open(&flipped).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn a_signature_serves_one_type_only() {
        assert_eq!(Signed::<OtherNote>::open(note("hello").bytes()), Err(OpenError::Signature));
    }

    #[test]
    fn rules_and_bounds_hold() {
        assert_eq!(
            Signed::<Note>::open(note("").bytes()),
            Err(OpenError::Rule("empty note".into()))
        );
        let long = note(&"x".repeat(600));
        assert!(matches!(
            Signed::<Note>::open(long.bytes()),
            Err(OpenError::Envelope(DecodeError::TooLong { .. }))
        ));
    }

    #[test]
    fn an_unprotected_header_makes_it_another_message() {
        let mut sign1 = CoseSign1::from_tagged_slice(note("hello").bytes()).expect("ours");
        sign1.unprotected = HeaderBuilder::new().key_id(vec![1]).build();
        let bytes = sign1.to_tagged_vec().expect("encodes");
        assert_eq!(
            Signed::<Note>::open(&bytes),
            Err(OpenError::Envelope(DecodeError::NotCanonical))
        );
    }

    #[test]
    fn the_bytes_are_pinned() {
        // Any change here is a change of the wire format.
        assert_eq!(hex::encode(note("hello").bytes()), PINNED);
    }
}
