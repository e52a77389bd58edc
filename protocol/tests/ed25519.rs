//! Which Ed25519 signatures we take: the tests of RFC 8032, Wycheproof, and CCTV's edge cases.
//!
//! Every expected number below is pinned, so that another version of the library that takes one
//! signature more or less is noticed. Where the vectors come from stands in
//! `tests/vectors/ed25519-*/README.md`.
//!
//! What we refuse on purpose, beyond what RFC 8032 (section 5.1.7) makes everyone refuse: keys and R
//! of low order, and low-order residues. What we take although some would not: points with a
//! low-order component that cancels out. Whoever has such a key made it so, and it still signs one
//! message only with one signature.

use std::collections::{BTreeMap, BTreeSet};

use curve25519_dalek::constants::EIGHT_TORSION;
use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
use curve25519_dalek::scalar::{Scalar, clamp_integer};
use curve25519_dalek::traits::IsIdentity;
use protocol::{PublicKey, SecretKey};
use sha2::{Digest, Sha256, Sha512};
use wycheproof::TestResult;
use wycheproof::eddsa::{TestName, TestSet};

fn verifies(key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    let (Ok(key), Ok(signature)) = (key.try_into(), signature.try_into()) else { return false };
    PublicKey::from_bytes(key).is_ok_and(|key| key.verifies(message, signature))
}

#[test]
fn rfc_8032_signs_and_verifies() {
    let text = include_str!("../../tests/vectors/ed25519-rfc8032/vectors.txt");
    let blocks: Vec<_> = text.split("\n\n").filter(|block| !block.trim().is_empty()).collect();
    assert_eq!(blocks.len(), 5);
    for block in blocks {
        let field = |name: &str| {
            let found = block.lines().find_map(|line| line.strip_prefix(name));
            hex::decode(found.expect("a field").trim()).expect("hexadecimal")
        };
        let secret = SecretKey::from_seed(&field("secret").try_into().expect("32 bytes"));
        let (message, signature) = (field("message"), field("signature"));
        assert_eq!(secret.public().as_bytes().as_slice(), field("public"), "{block}");
        assert_eq!(secret.sign(&message).as_slice(), signature, "{block}");
        assert!(verifies(secret.public().as_bytes(), &message, &signature), "{block}");
    }
}

#[test]
fn wycheproof_agrees_in_every_case() {
    let set = TestSet::load(TestName::Ed25519).expect("the crate reads its own file");
    let mut counts = BTreeMap::new();
    for group in &set.test_groups {
        for test in &group.tests {
            let taken = verifies(&group.key.pk, &test.msg, &test.sig);
            assert_eq!(taken, test.result == TestResult::Valid, "{}: {}", test.tc_id, test.comment);
            *counts.entry(taken).or_insert(0) += 1;
        }
    }
    assert_eq!(counts, BTreeMap::from([(true, 88), (false, 63)]));
}

/// How many of CCTV's vectors have each flag, and how many of those we take.
const CCTV_FLAGS: [(&str, usize, usize); 8] = [
    ("low_order_A", 526, 0),
    ("low_order_R", 586, 0),
    ("low_order_component_A", 774, 42),
    ("low_order_component_R", 665, 35),
    ("low_order_residue", 583, 0),
    ("non_canonical_A", 226, 0),
    ("non_canonical_R", 316, 0),
    ("reencoded_k", 146, 0),
];
/// The flags of what we take: nothing odd; a key with a low-order component; a key and an R whose
/// components cancel out. An R with one and a key without never cancel out.
const CCTV_TAKEN: [(&str, usize); 3] =
    [("", 1), ("low_order_component_A", 7), ("low_order_component_R,low_order_component_A", 35)];
/// The published file: its vectors, and the hash of their lines.
const CCTV_COUNT: usize = 914;
const CCTV_SHA256: &str = "c428ce977782f278dca83fbb22831a206f38a0f5462604fa437686949bb2158c";

#[test]
fn the_edge_cases_are_those_that_cctv_publishes() {
    let lines: BTreeSet<String> = edge_cases().iter().map(EdgeCase::line).collect();
    assert_eq!(lines.len(), CCTV_COUNT);
    let text: Vec<u8> = lines.into_iter().flat_map(String::into_bytes).collect();
    assert_eq!(hex::encode(Sha256::digest(text)), CCTV_SHA256);
}

#[test]
fn of_the_edge_cases_only_components_that_cancel_out_are_taken() {
    let mut flags: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    let mut taken_classes: BTreeMap<String, usize> = BTreeMap::new();
    for case in edge_cases() {
        let signature = [case.r, case.s].concat();
        let taken = verifies(&case.key, case.message.as_bytes(), &signature);
        for flag in &case.flags {
            let count = flags.entry(flag).or_default();
            *count = (count.0 + 1, count.1 + usize::from(taken));
        }
        if taken {
            *taken_classes.entry(case.flags.join(",")).or_default() += 1;
        }
    }
    let expected = CCTV_FLAGS.map(|(flag, all, taken)| (flag, (all, taken)));
    assert_eq!(flags, BTreeMap::from(expected));
    assert_eq!(taken_classes, CCTV_TAKEN.map(|(flags, n)| (flags.to_owned(), n)).into());
}

/// A signature at the edge, with CCTV's flags in CCTV's order.
struct EdgeCase {
    key: [u8; 32],
    r: [u8; 32],
    s: [u8; 32],
    message: String,
    flags: Vec<&'static str>,
}

impl EdgeCase {
    fn line(&self) -> String {
        let [key, r, s] = [self.key, self.r, self.s].map(hex::encode);
        format!("{key} {r}{s} {} {}\n", self.flags.join(","), self.message)
    }
}

/// One side of a signature: the key or R.
#[derive(Clone, Copy)]
struct Side {
    bytes: [u8; 32],
    /// Its component of low order.
    low: EdwardsPoint,
    /// The discrete logarithm of the rest: zero for a point of low order.
    prime: Scalar,
    is_canonical: bool,
}

impl Side {
    fn is_low(&self) -> bool {
        self.prime == Scalar::ZERO
    }

    /// All sides with this component of prime order, or none.
    fn all(prime: Scalar) -> Vec<Self> {
        let side = |bytes, low, prime, is_canonical| Self { bytes, low, prime, is_canonical };
        let mut sides = Vec::new();
        for low in EIGHT_TORSION {
            let canonical = low.compress().to_bytes();
            sides.push(side(canonical, low, Scalar::ZERO, true));
            let others = non_canonical(&low).into_iter();
            sides.extend(others.map(|bytes| side(bytes, low, Scalar::ZERO, false)));
            let mixed = EdwardsPoint::mul_base(&prime) + low;
            sides.push(side(mixed.compress().to_bytes(), low, prime, true));
        }
        sides
    }
}

/// The other encodings of a point: its y plus the field's prime, and the sign of an x of zero.
fn non_canonical(point: &EdwardsPoint) -> Vec<[u8; 32]> {
    let canonical = point.compress().to_bytes();
    let mut bodies = vec![canonical];
    if canonical[0] < 19 && canonical[1..31].iter().all(|byte| *byte == 0) {
        let mut above = [0xff; 32];
        above[0] = 0xed + canonical[0];
        above[31] = 0x7f;
        bodies.push(above);
    }
    let signed = bodies.into_iter().flat_map(|body| {
        [0x00, 0x80].map(|sign| {
            let mut bytes = body;
            bytes[31] = bytes[31] & 0x7f | sign;
            bytes
        })
    });
    let is_point = |bytes: &[u8; 32]| CompressedEdwardsY(*bytes).decompress() == Some(*point);
    signed.filter(|bytes| *bytes != canonical && is_point(bytes)).collect()
}

fn edge_cases() -> Vec<EdgeCase> {
    let secret = Scalar::from_bytes_mod_order(clamp_integer([0x42; 32]));
    let wide: Vec<u8> = [0x13, 0x37].repeat(32);
    let nonce = Scalar::from_bytes_mod_order_wide(&wide.try_into().expect("64 bytes"));
    let (keys, rs) = (Side::all(secret), Side::all(nonce));
    let mut cases = Vec::new();
    for key in &keys {
        for r in &rs {
            cases.extend(cases_of(key, r, false));
            let one_is_odd = key.is_canonical != r.is_canonical;
            if one_is_odd && !(key.is_low() && r.is_low()) {
                cases.extend(cases_of(key, r, true));
            }
        }
    }
    cases
}

/// For each outcome of the low-order components, the first message that leads to it; `reencoded`
/// says whether the hash is over the canonical encodings.
fn cases_of(key: &Side, r: &Side, reencoded: bool) -> Vec<EdgeCase> {
    let hash = |message: &str, reencoded: bool| {
        let bytes = |side: &Side| {
            let point = CompressedEdwardsY(side.bytes).decompress().expect("a point");
            if reencoded { point.compress().to_bytes() } else { side.bytes }
        };
        let digest = Sha512::new().chain_update(bytes(r)).chain_update(bytes(key));
        Scalar::from_hash(digest.chain_update(message))
    };
    let leaves_residue = |k: Scalar| !(key.low * k + r.low).is_identity();
    let mut outcomes = BTreeSet::new();
    let mut cases = Vec::new();
    for remainder in 0..8 {
        let numbered = (1..).map(|n| format!("ed25519vectors {n}"));
        let message = std::iter::once("ed25519vectors".to_owned())
            .chain(numbered)
            .find(|message| hash(message, reencoded).as_bytes()[0] % 8 == remainder)
            .expect("some message has it");
        let k = hash(&message, reencoded);
        if !outcomes.insert(leaves_residue(k)) {
            continue;
        }
        let residue = leaves_residue(hash(&message, false));
        let s = (k * key.prime + r.prime).to_bytes();
        let flags = flags_of(key, r, residue, reencoded);
        cases.push(EdgeCase { key: key.bytes, r: r.bytes, s, message, flags });
    }
    cases
}

fn flags_of(key: &Side, r: &Side, residue: bool, reencoded: bool) -> Vec<&'static str> {
    let flags = [
        (r.is_low(), "low_order_R"),
        (key.is_low(), "low_order_A"),
        (!r.low.is_identity(), "low_order_component_R"),
        (!key.low.is_identity(), "low_order_component_A"),
        (residue, "low_order_residue"),
        (!key.is_canonical, "non_canonical_A"),
        (!r.is_canonical, "non_canonical_R"),
        (reencoded, "reencoded_k"),
    ];
    flags.into_iter().filter_map(|(is_so, flag)| is_so.then_some(flag)).collect()
}
