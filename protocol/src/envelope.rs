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
use crate::key::{PublicKey, SecretKey, Verifier};

/// A type that travels signed.
pub trait Message: Serialize + DeserializeOwned {
    /// The external AAD, such as `accord/update/v1`; one per type.
    const DOMAIN: &'static str;
    /// The longest envelope accepted, in bytes.
    const BYTES_MAX: usize;

    /// Reads a payload that `signer` signed. A type that reads faster than [`codec::decode`] must
    /// take and give exactly the same.
    fn read(payload: &[u8], _signer: &PublicKey) -> Result<Self, DecodeError> {
        codec::decode(payload, Self::BYTES_MAX)
    }

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

    /// The signature in the envelope.
    pub fn signature(&self) -> &[u8; 64] {
        self.bytes.last_chunk().expect("an envelope ends with a signature")
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

    /// The envelope of `value` with a signature that came without it, verified.
    pub fn assemble(value: T, signer: PublicKey, signature: &[u8; 64]) -> Result<Self, OpenError> {
        let sign1 = unsigned(signer, codec::encode(&value));
        let bytes = CoseSign1 { signature: signature.to_vec(), ..sign1 }
            .to_tagged_vec()
            .expect("an envelope of byte strings always encodes");
        Self::open(&bytes)
    }

    /// Opens untrusted bytes.
    pub fn open(bytes: &[u8]) -> Result<Self, OpenError> {
        let bytes_max = T::BYTES_MAX;
        if bytes.len() > bytes_max {
            let too_long = DecodeError::TooLong { bytes: bytes.len(), bytes_max };
            return Err(OpenError::Envelope(too_long));
        }
        let parts = Parts::of(bytes).ok_or_else(|| why_not(bytes))?;
        let verifier = Verifier::from_bytes(parts.key).map_err(|_| OpenError::Header)?;
        if !verifier.verifies(&parts.to_be_signed(T::DOMAIN), parts.signature) {
            return Err(OpenError::Signature);
        }
        let signer = verifier.public();
        let value = T::read(parts.payload, &signer).map_err(OpenError::Payload)?;
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

/// The envelope up to the key: tag 18, an array of four, and in it the protected header as a byte
/// string of 38 bytes: a map of two, `alg` (1) to EdDSA (-8), `kid` (4) to a byte string of 32.
const BEFORE_KEY: [u8; 10] = [0xd2, 0x84, 0x58, 38, 0xa2, 0x01, 0x27, 0x04, 0x58, 32];
/// Where the protected header starts in it.
const PROTECTED_AT: usize = 4;
/// Between the key and the payload: an empty unprotected header.
const AFTER_KEY: [u8; 1] = [0xa0];
/// Between the payload and the signature: the head of a byte string of 64.
const BEFORE_SIGNATURE: [u8; 2] = [0x58, 64];
/// The signed structure (RFC 9052, section 4.4) up to the protected header: an array of four, a text
/// of ten, and the head of a byte string of 38.
const CONTEXT: &[u8] = b"\x84\x6aSignature1\x58\x26";

/// What varies from envelope to envelope: all the rest of the one canonical form is fixed.
struct Parts<'a> {
    protected: &'a [u8],
    key: &'a [u8; 32],
    payload: &'a [u8],
    signature: &'a [u8; 64],
}

impl<'a> Parts<'a> {
    /// The parts of an envelope in the canonical form; none for anything else.
    fn of(bytes: &'a [u8]) -> Option<Self> {
        let (key, rest) = bytes.strip_prefix(&BEFORE_KEY)?.split_first_chunk::<32>()?;
        let protected = &bytes[PROTECTED_AT..BEFORE_KEY.len() + key.len()];
        let (rest, signature) = rest.split_last_chunk::<64>()?;
        let payload = rest.strip_prefix(&AFTER_KEY)?.strip_suffix(&BEFORE_SIGNATURE)?;
        Some(Self { protected, key, payload: byte_string(payload)?, signature })
    }

    /// What the signature is over: the signed structure with `domain` as external AAD.
    fn to_be_signed(&self, domain: &str) -> Vec<u8> {
        let parts_bytes = self.protected.len() + domain.len() + self.payload.len();
        let mut out = Vec::with_capacity(CONTEXT.len() + parts_bytes + 2 * HEAD_BYTES_MAX);
        out.extend(CONTEXT);
        out.extend(self.protected);
        push_byte_string(&mut out, domain.as_bytes());
        push_byte_string(&mut out, self.payload);
        out
    }
}

/// The longest head of a byte string here: lengths fit 32 bits.
const HEAD_BYTES_MAX: usize = 5;

/// The content of a byte string in its shortest form that is all of `bytes`.
fn byte_string(bytes: &[u8]) -> Option<&[u8]> {
    let head_bytes = match bytes.first()? {
        0x40..=0x57 => 1,
        0x58 => 2,
        0x59 => 3,
        0x5a => HEAD_BYTES_MAX,
        _ => return None,
    };
    let (head, content) = bytes.split_at_checked(head_bytes)?;
    let mut expected = Vec::with_capacity(HEAD_BYTES_MAX);
    push_head(&mut expected, content.len());
    (expected == head).then_some(content)
}

/// Appends a byte string in its shortest form.
fn push_byte_string(out: &mut Vec<u8>, content: &[u8]) {
    push_head(out, content.len());
    out.extend(content);
}

fn push_head(out: &mut Vec<u8>, bytes: usize) {
    let [a, b, c, d] = (bytes as u32).to_be_bytes();
    match bytes {
        0..24 => out.push(0x40 + d),
        24..0x100 => out.extend([0x58, d]),
        0x100..0x1_0000 => out.extend([0x59, c, d]),
        _ => out.extend([0x5a, a, b, c, d]),
    }
}

/// Why bytes are not an envelope in the canonical form, by a reader of any envelope.
fn why_not(bytes: &[u8]) -> OpenError {
    let sign1 = match CoseSign1::from_tagged_slice(bytes) {
        Ok(sign1) => sign1,
        Err(e) => return OpenError::Envelope(DecodeError::Malformed(e.to_string())),
    };
    let header = &sign1.protected.header;
    let is_ours = header.alg == Some(RegisteredLabelWithPrivate::Assigned(iana::Algorithm::EdDSA))
        && header.key_id.len() == 32
        && sign1.payload.is_some();
    match (is_ours, sign1.signature.len()) {
        (false, _) => OpenError::Header,
        (true, 64) => OpenError::Envelope(DecodeError::NotCanonical),
        (true, _) => OpenError::Signature,
    }
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

    /// What [`Parts::of`] means, by the library: the envelope that reads, is of our header, and is
    /// written again alike.
    fn parts_slowly(bytes: &[u8]) -> Option<(CoseSign1, PublicKey)> {
        let sign1 = CoseSign1::from_tagged_slice(bytes).ok()?;
        let key: [u8; 32] = sign1.protected.header.key_id.as_slice().try_into().ok()?;
        let signer = PublicKey::from_bytes(key).ok()?;
        let payload = sign1.payload.clone()?;
        let expected = CoseSign1 { signature: sign1.signature, ..unsigned(signer, payload) };
        let is_ours = expected.signature.len() == 64;
        (is_ours && expected.clone().to_tagged_vec().ok()? == bytes).then_some((expected, signer))
    }

    fn same_parts(bytes: &[u8]) {
        let Some((sign1, signer)) = parts_slowly(bytes) else {
            // The library reads the key; `open` does so a step later.
            let key = Parts::of(bytes).map(|parts| PublicKey::from_bytes(*parts.key));
            assert!(matches!(key, None | Some(Err(_))), "{}", hex::encode(bytes));
            return;
        };
        let parts = Parts::of(bytes).expect("the library takes it");
        assert_eq!(parts.key, signer.as_bytes());
        assert_eq!(Some(parts.payload), sign1.payload.as_deref());
        assert_eq!(parts.signature.as_slice(), sign1.signature);
        for domain in [Note::DOMAIN, "", "a domain of more than twenty-three bytes"] {
            assert_eq!(parts.to_be_signed(domain), sign1.tbs_data(domain.as_bytes()));
        }
    }

    #[test]
    fn parts_are_the_library_s_for_every_length_of_payload() {
        let key = SecretKey::from_seed(&[7; 32]).public();
        for length in (0..300).chain(65_530..65_540) {
            let sign1 = unsigned(key, vec![7; length]);
            let sign1 = CoseSign1 { signature: vec![9; 64], ..sign1 };
            same_parts(&sign1.to_tagged_vec().expect("encodes"));
        }
    }

    proptest::proptest! {
        #[test]
        fn parts_are_the_library_s_for_whatever_is_changed(
            text in ".{0,40}",
            at in proptest::prelude::any::<proptest::sample::Index>(),
            byte: u8,
            kind in 0..3u8,
        ) {
            let mut bytes = note(&text).bytes().to_vec();
            let at = at.index(bytes.len());
            match kind {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                _ => drop(bytes.remove(at)),
            }
            same_parts(&bytes);
        }
    }

    #[test]
    fn the_bytes_are_pinned() {
        // Any change here is a change of the wire format.
        assert_eq!(hex::encode(note("hello").bytes()), PINNED);
    }
}
