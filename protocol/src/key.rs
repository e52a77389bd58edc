//! Ed25519 keys of nodes and identities.
//!
//! Invariants: a [`PublicKey`] is a valid curve point and not of small order; verification takes
//! exactly what `verify_strict` takes; a [`SecretKey`] never prints itself and is wiped when dropped.
//! What it is not: a key store. Seeds come from the caller, who has the randomness.

use std::fmt;
use std::str::FromStr;

use ed25519_dalek::{Signature, Signer, SigningKey, Verifier as _, VerifyingKey};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::id::{deserialize32, parse_hex32, serialize32};

/// Why 32 bytes are not a usable public key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not 64 hexadecimal digits.
    #[error("a key is 64 hexadecimal digits, this is {0:?}")]
    Text(String),
    /// Not a point of the curve, or one of small order that verifies for many messages.
    #[error("{0} is not a valid Ed25519 public key")]
    Point(String),
}

/// A node's or an identity's public key (RFC 8032).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    /// The key with these bytes, if they are a valid key that is not weak.
    pub fn from_bytes(bytes: [u8; 32]) -> Result<Self, KeyError> {
        Verifier::from_bytes(&bytes).map(|verifier| verifier.public())
    }

    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The first ten hex digits, for people.
    pub fn short(&self) -> String {
        hex::encode(&self.0[..5])
    }

    /// Whether `signature` over `message` is this key's, by the strict rules (no malleability, no
    /// small-order points).
    pub fn verifies(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        Verifier::from_bytes(&self.0).is_ok_and(|verifier| verifier.verifies(message, signature))
    }
}

/// A public key with its curve point, which takes about a tenth of a verification to compute.
#[derive(Debug)]
pub(crate) struct Verifier(VerifyingKey);

impl Verifier {
    /// The key with these bytes, if they are a valid key that is not weak.
    pub(crate) fn from_bytes(bytes: &[u8; 32]) -> Result<Self, KeyError> {
        match VerifyingKey::from_bytes(bytes) {
            Ok(key) if !key.is_weak() => Ok(Self(key)),
            _ => Err(KeyError::Point(hex::encode(bytes))),
        }
    }

    /// The key without its point.
    pub(crate) fn public(&self) -> PublicKey {
        PublicKey(self.0.to_bytes())
    }

    /// As [`PublicKey::verifies`].
    pub(crate) fn verifies(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        // `verify_strict` without its point for R: what it refuses beyond `verify` is a small-order
        // key, which no `Verifier` has, and an R that is no point or of small order. `verify` takes
        // no R but in the canonical encoding of the point that it computes, so the bytes tell.
        let is_small_order = SMALL_ORDER.iter().any(|point| signature.starts_with(point));
        !is_small_order && self.0.verify(message, &Signature::from_bytes(signature)).is_ok()
    }
}

/// The canonical encodings of the eight points whose order divides eight.
const SMALL_ORDER: [[u8; 32]; 8] = [
    point(0x00, [0x00; 30], 0x00),
    point(0x00, [0x00; 30], 0x80),
    point(0x01, [0x00; 30], 0x00),
    point(0xec, [0xff; 30], 0x7f),
    point(0x26, ORDER_8[0], 0x05),
    point(0x26, ORDER_8[0], 0x85),
    point(0xc7, ORDER_8[1], 0x7a),
    point(0xc7, ORDER_8[1], 0xfa),
];
/// What the points of order eight have between their first and last bytes.
const ORDER_8: [[u8; 30]; 2] = [
    [
        0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0,
        0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc,
    ],
    [
        0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f,
        0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03,
    ],
];

const fn point(first: u8, middle: [u8; 30], last: u8) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes[0] = first;
    bytes[31] = last;
    let mut at = 0;
    while at < middle.len() {
        bytes[at + 1] = middle[at];
        at += 1;
    }
    bytes
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", self.short())
    }
}

impl FromStr for PublicKey {
    type Err = KeyError;
    fn from_str(text: &str) -> Result<Self, KeyError> {
        let bytes =
            parse_hex32(text).ok_or_else(|| KeyError::Text(text.chars().take(80).collect()))?;
        Self::from_bytes(bytes)
    }
}

impl Serialize for PublicKey {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        serialize32(&self.0, s)
    }
}

impl<'de> Deserialize<'de> for PublicKey {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Self::from_bytes(deserialize32(d)?).map_err(serde::de::Error::custom)
    }
}

/// A private signing key.
#[derive(Clone)]
pub struct SecretKey(SigningKey);

impl SecretKey {
    /// The key of a 32-byte seed; the same seed serves libp2p and iroh.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }

    /// The seed, to be written to a key file or handed to libp2p or iroh.
    pub fn seed(&self) -> [u8; 32] {
        self.0.to_bytes()
    }

    /// The public half.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key().to_bytes())
    }

    /// The deterministic signature over `message` (RFC 8032).
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey(of {})", self.public().short())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc8032_test_1() {
        let seed = parse_hex32("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
            .expect("hex");
        let key = SecretKey::from_seed(&seed);
        assert_eq!(
            key.public().to_string(),
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
        );
        let signature = key.sign(b"");
        assert_eq!(
            hex::encode(signature),
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
        );
        assert!(key.public().verifies(b"", &signature));
        assert!(!key.public().verifies(b"x", &signature));
    }

    #[test]
    fn the_small_order_points_are_all_that_the_library_calls_weak() {
        let weak =
            |bytes: &[u8; 32]| VerifyingKey::from_bytes(bytes).is_ok_and(|key| key.is_weak());
        assert!(SMALL_ORDER.iter().all(weak));
        let distinct: std::collections::BTreeSet<_> = SMALL_ORDER.iter().collect();
        assert_eq!(distinct.len(), 8);
    }

    proptest::proptest! {
        #[test]
        fn verification_is_strict_verification(
            seed: [u8; 32],
            message: [u8; 8],
            r in proptest::sample::select(&SMALL_ORDER[..]),
            flip in 0..1024usize,
        ) {
            let key = SecretKey::from_seed(&seed);
            let good = key.sign(&message);
            let mut flipped = good;
            if let Some(byte) = flipped.get_mut(flip / 8) {
                *byte ^= 1 << (flip % 8);
            }
            let mut small = good;
            small[..32].copy_from_slice(&r);
            let library = key.0.verifying_key();
            for signature in [good, flipped, small] {
                let strict = library.verify_strict(&message, &Signature::from_bytes(&signature));
                proptest::prop_assert_eq!(
                    key.public().verifies(&message, &signature),
                    strict.is_ok()
                );
            }
        }
    }

    #[test]
    fn small_order_points_are_no_keys() {
        let mut identity = [0u8; 32];
        identity[0] = 1;
        assert!(PublicKey::from_bytes(identity).is_err());
        assert!(PublicKey::from_bytes([0u8; 32]).is_err());
    }
}
