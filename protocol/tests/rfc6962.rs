//! RFC 6962's proofs, those that hold and those that must not, as transparency-dev/merkle tests them.
//!
//! No file of theirs is here: the cases are made anew from their description in
//! `tests/vectors/rfc6962/README.md`, written as their files are, and the hash of all files is the
//! one of those that were published. So what is checked below is what they check.

use std::collections::BTreeMap;
use std::convert::Infallible;

use protocol::log::audit::{
    prove_consistency, prove_inclusion, verify_consistency, verify_inclusion,
};
use protocol::log::tree::{self, HashSource};
use protocol::log::{TreeHash, base64};
use serde::Serialize;
use sha2::{Digest, Sha256};

/// The published files: of each kind how many, and the hash of what `sha256sum` says of all, sorted
/// by path.
const FILES_OF_EACH_KIND: usize = 98;
const FILES_SHA256: &str = "b9ebca6061a41485e515d2909c5ce5eec2f0858429f2f01822ab8dd35beed803";

/// The entries of the tree, in hexadecimal.
const ENTRIES: [&str; 8] = [
    "",
    "00",
    "10",
    "2021",
    "3031",
    "40414243",
    "5051525354555657",
    "606162636465666768696a6b6c6d6e6f",
];
/// Thirty-two bytes that are no hash of the tree.
const RANDOM: &str = "abacaba000000000000000000000000000000000000000000060061e00123456";

/// An index and a size for which inclusion is proved, and two sizes between which consistency is.
const INCLUSIONS: [(u64, u64); 5] = [(0, 1), (0, 8), (5, 8), (2, 3), (1, 5)];
const CONSISTENCIES: [(u64, u64); 5] = [(1, 1), (1, 8), (6, 8), (2, 5), (6, 7)];

/// Hashes in base64, for that is how the files have them, of whatever length.
type Hash = String;

/// None where the published file has `null` for a proof without hashes.
type Proof = Option<Vec<Hash>>;

#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct Inclusion {
    leaf_idx: u64,
    tree_size: u64,
    root: Hash,
    leaf_hash: Hash,
    proof: Proof,
    desc: String,
    want_err: bool,
}

#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct Consistency {
    size1: u64,
    size2: u64,
    root1: Hash,
    root2: Hash,
    proof: Proof,
    desc: String,
    want_err: bool,
}

/// Cases by the paths of their files.
type Cases<T> = BTreeMap<String, T>;

struct Entries(Vec<TreeHash>);

impl Entries {
    fn new() -> Self {
        Self(ENTRIES.map(|entry| TreeHash::of_entry(&hex::decode(entry).expect("hex"))).into())
    }

    fn root(&self, size: u64) -> Hash {
        tree::root(self.0[..size as usize].iter().copied()).to_string()
    }
}

impl HashSource for Entries {
    type Error = Infallible;

    fn hash(&self, level: u8, index: u64) -> Result<TreeHash, Infallible> {
        let (start, end) = ((index << level) as usize, ((index + 1) << level) as usize);
        Ok(tree::root(self.0[start..end].iter().copied()))
    }
}

fn words(text: &str) -> Hash {
    base64::encode(text.as_bytes())
}

fn random() -> Hash {
    base64::encode(&hex::decode(RANDOM).expect("hex"))
}

/// A proof as text; an empty one is `null` until something is done with it.
fn written(proof: Vec<TreeHash>) -> Proof {
    (!proof.is_empty()).then(|| proof.iter().map(ToString::to_string).collect())
}

/// The hash with one bit of its first byte changed.
fn flipped(hash: &Hash, bit: u8) -> Hash {
    let mut bytes = base64::decode(hash).expect("base64");
    bytes[0] ^= 1 << bit;
    base64::encode(&bytes)
}

/// Where the file of a case lies.
fn path(folder: &str, desc: &str) -> String {
    let name: String = desc.chars().filter(|c| !"()".contains(*c)).collect();
    format!("{folder}/{}.json", name.replace(' ', "-"))
}

/// The proof that holds, and what becomes of it by each change.
fn inclusion_changes(number: usize, (leaf_idx, tree_size): (u64, u64)) -> Cases<Inclusion> {
    let entries = Entries::new();
    let root = entries.root(tree_size);
    let proof = prove_inclusion(leaf_idx, tree_size, &entries).expect("in the tree");
    let length = proof.len();
    let happy = Inclusion {
        leaf_idx,
        tree_size,
        root: root.clone(),
        leaf_hash: entries.0[leaf_idx as usize].to_string(),
        proof: written(proof),
        desc: String::new(),
        want_err: false,
    };
    let mut cases = Cases::new();
    let mut add = |desc: &str, change: &dyn Fn(&mut Inclusion)| {
        let want_err = desc != "happy path";
        let mut case = Inclusion { desc: desc.into(), want_err, ..happy.clone() };
        change(&mut case);
        cases.insert(path(&format!("inclusion/{number}"), desc), case);
    };
    let insert = |case: &mut Inclusion, at: usize, hash: &Hash| {
        case.proof.get_or_insert_default().insert(at, hash.clone());
    };
    add("happy path", &|_| ());
    add("leafIdx plus @1", &|case| case.leaf_idx += 1);
    add("leafIdx sub @1", &|case| case.leaf_idx = case.leaf_idx.wrapping_sub(1));
    add("leafIdx XOR @2", &|case| case.leaf_idx ^= 2);
    add("treeSize mul @2", &|case| case.tree_size *= 2);
    add("treeSize div @2", &|case| case.tree_size /= 2);
    add("wrong leaf", &|case| case.leaf_hash = words("WrongLeaf"));
    add("empty root", &|case| case.root = TreeHash::EMPTY.to_string());
    add("random root", &|case| case.root = random());
    add("preceding garbage", &|case| insert(case, 0, &words("")));
    add("trailing garbage", &|case| insert(case, length, &words("")));
    add("preceding root", &|case| insert(case, 0, &root));
    add("trailing root", &|case| insert(case, length, &root));
    if length > 0 {
        add("removed component", &|case| drop(case.proof.get_or_insert_default().pop()));
    }
    if length > 1 {
        add("inserted component", &|case| insert(case, 1, &random()));
    }
    for at in 0..length {
        add(&format!("modified proof[{at}] bit @3"), &|case| {
            let hash = &mut case.proof.get_or_insert_default()[at];
            *hash = flipped(hash, 3);
        });
    }
    cases
}

fn consistency_changes(number: usize, (size1, size2): (u64, u64)) -> Cases<Consistency> {
    let entries = Entries::new();
    let (root1, root2) = (entries.root(size1), entries.root(size2));
    let proof = prove_consistency(size1, size2, &entries).expect("grows");
    let length = proof.len();
    let proof = written(proof);
    let happy = Consistency {
        size1,
        size2,
        root1: root1.clone(),
        root2: root2.clone(),
        proof: proof.clone(),
        desc: String::new(),
        want_err: false,
    };
    let mut cases = Cases::new();
    let mut add = |desc: &str, change: &dyn Fn(&mut Consistency)| {
        let want_err = desc != "happy path";
        let mut case = Consistency { desc: desc.into(), want_err, ..happy.clone() };
        change(&mut case);
        cases.insert(path(&format!("consistency/{number}"), desc), case);
    };
    let insert = |case: &mut Consistency, at: usize, hash: &Hash| {
        case.proof.get_or_insert_default().insert(at, hash.clone());
    };
    add("happy path", &|_| ());
    let Some(first) = proof.and_then(|proof| proof.into_iter().next()) else { return cases };
    add("size1 plus @1", &|case| case.size1 += 1);
    add("size1 sub @1", &|case| case.size1 -= 1);
    add("size1 XOR @2", &|case| case.size1 ^= 2);
    add("size2 mul @2", &|case| case.size2 *= 2);
    add("size2 div @2", &|case| case.size2 /= 2);
    add("wrong root1", &|case| case.root1 = words("WrongRoot"));
    add("wrong root2", &|case| case.root2 = words("WrongRoot"));
    add("swapped roots", &|case| std::mem::swap(&mut case.root1, &mut case.root2));
    add("empty proof", &|case| case.proof = Some(Vec::new()));
    add("preceding garbage", &|case| insert(case, 0, &words("")));
    add("trailing garbage", &|case| insert(case, length, &words("")));
    add("preceding root1", &|case| insert(case, 0, &root1));
    add("trailing root1", &|case| insert(case, length, &root1));
    add("preceding root2", &|case| insert(case, 0, &root2));
    add("trailing root2", &|case| insert(case, length, &root2));
    add("preceding proof @0", &|case| insert(case, 0, &first));
    add("truncated proof", &|case| drop(case.proof.get_or_insert_default().pop()));
    for at in 0..length {
        add(&format!("modified proof@{at} bit @4"), &|case| {
            let hash = &mut case.proof.get_or_insert_default()[at];
            *hash = flipped(hash, 4);
        });
    }
    cases
}

/// Proofs without hashes of trees with one entry or none.
fn bare_inclusions() -> Cases<Inclusion> {
    let mut cases = Cases::new();
    let mut add =
        |folder: &str, desc: &str, (leaf_idx, tree_size), (root, leaf): (&Hash, &Hash)| {
            let want_err = desc != "matching root and leaf";
            let (root, leaf_hash) = (root.clone(), leaf.clone());
            let (proof, desc) = (Some(Vec::new()), desc.to_owned());
            let path = path(folder, &desc);
            let case = Inclusion { leaf_idx, tree_size, root, leaf_hash, proof, desc, want_err };
            cases.insert(path, case);
        };
    let (none, empty) = (words(""), TreeHash::EMPTY.to_string());
    for (number, sizes) in [(0, 0), (0, 1), (1, 0), (2, 1)].into_iter().enumerate() {
        let folder = format!("inclusion/additional/{number}");
        add(&folder, "empty root", sizes, (&empty, &none));
        add(&folder, "empty root and random leaf", sizes, (&empty, &random()));
        add(&folder, "random leaf", sizes, (&none, &random()));
    }
    let (folder, entry) = ("inclusion/single-entry", TreeHash::of_entry(b"data").to_string());
    add(folder, "matching root and leaf", (0, 1), (&entry, &entry));
    add(folder, "empty leaf", (0, 1), (&entry, &none));
    add(folder, "empty root", (0, 1), (&none, &entry));
    add(folder, "empty root and leaf", (0, 1), (&none, &none));
    cases
}

/// Sizes at the edge, where the roots alone decide or do not matter.
fn bare_consistencies() -> Cases<Consistency> {
    let (one, two) = (words("don't care 1"), words("don't care 2"));
    let empty = TreeHash::EMPTY.to_string();
    // The one that holds: trees of one size with one root, whatever it is.
    let holds = "sizes are equal (one) and proof is empty";
    [
        ("size1 is greater than size2", (1, 0), (&one, &two), 0),
        ("size1 is greater than size2 again", (2, 1), (&one, &two), 0),
        ("size1 is zero and does not equal size2", (0, 1), (&one, &two), 0),
        ("size1 is zero and size2 is not zero", (0, 1), (&empty, &two), 0),
        ("consistency check on empty tree (size1 is zero) is useless", (0, 1), (&empty, &empty), 1),
        ("sizes are equal (zero) but roots are not", (0, 0), (&one, &two), 0),
        ("sizes are equal (zero) and proof is empty", (0, 0), (&one, &one), 0),
        ("roots do not match and sizes are zero", (0, 0), (&empty, &two), 0),
        ("sizes match but proof is not empty and sizes are zero", (0, 0), (&empty, &empty), 1),
        ("sizes are equal (one) but roots are not", (1, 1), (&one, &two), 0),
        (holds, (1, 1), (&two, &two), 0),
        ("roots do not not match and sizes are one", (1, 1), (&empty, &two), 0),
        ("sizes match but proof is not empty and sizes are one", (1, 1), (&empty, &empty), 1),
        ("sizes do not watch and proof is empty", (1, 2), (&one, &two), 0),
    ]
    .into_iter()
    .map(|(desc, (size1, size2), (root1, root2), hashes)| {
        let (root1, root2) = (root1.clone(), root2.clone());
        let (proof, want_err) = (Some(vec![empty.clone(); hashes]), desc != holds);
        let path = path("consistency/additional", desc);
        let desc = desc.to_owned();
        (path, Consistency { size1, size2, root1, root2, proof, desc, want_err })
    })
    .collect()
}

fn inclusions() -> Cases<Inclusion> {
    let numbered = INCLUSIONS.into_iter().enumerate();
    let changes = numbered.flat_map(|(number, sizes)| inclusion_changes(number, sizes));
    changes.chain(bare_inclusions()).collect()
}

fn consistencies() -> Cases<Consistency> {
    let numbered = CONSISTENCIES.into_iter().enumerate();
    let changes = numbered.flat_map(|(number, sizes)| consistency_changes(number, sizes));
    changes.chain(bare_consistencies()).collect()
}

/// What `sha256sum` says of the cases' files.
fn sums<T: Serialize>(cases: &Cases<T>) -> String {
    let line = |(path, case): (&String, &T)| {
        let file = serde_json::to_string_pretty(case).expect("strings and numbers");
        format!("{}  {path}\n", hex::encode(Sha256::digest(file)))
    };
    cases.iter().map(line).collect()
}

#[test]
fn the_cases_are_those_that_are_published() {
    let (inclusions, consistencies) = (inclusions(), consistencies());
    assert_eq!([inclusions.len(), consistencies.len()], [FILES_OF_EACH_KIND; 2]);
    let sums = sums(&consistencies) + &sums(&inclusions);
    assert_eq!(hex::encode(Sha256::digest(sums)), FILES_SHA256);
}

/// Hashes that are not 32 bytes long do not get as far as a proof.
fn hashes(proof: &Proof) -> Option<Vec<TreeHash>> {
    proof.iter().flatten().map(|text| TreeHash::from_base64(text)).collect()
}

#[test]
fn inclusion_holds_where_it_should_and_nowhere_else() {
    for (path, case) in inclusions() {
        let holds = || {
            let leaf = TreeHash::from_base64(&case.leaf_hash)?;
            let (root, proof) = (TreeHash::from_base64(&case.root)?, hashes(&case.proof)?);
            verify_inclusion(&leaf, case.leaf_idx, case.tree_size, &proof, &root).ok()
        };
        assert_eq!(holds().is_none(), case.want_err, "{path}");
    }
}

#[test]
fn consistency_holds_where_it_should_and_nowhere_else() {
    for (path, case) in consistencies() {
        // Where a root is no hash but words such as "don't care", their hash stands for it.
        let root = |text: &str| {
            let word = |bytes: Vec<u8>| TreeHash::from_bytes(Sha256::digest(bytes).into());
            TreeHash::from_base64(text).or_else(|| base64::decode(text).map(word))
        };
        let holds = || {
            let (old_root, root) = (root(&case.root1)?, root(&case.root2)?);
            let proof = hashes(&case.proof)?;
            verify_consistency(case.size1, &old_root, case.size2, &root, &proof).ok()
        };
        assert_eq!(holds().is_none(), case.want_err, "{path}");
    }
}

#[test]
fn the_reference_tree_has_its_hashes() {
    assert_eq!(hex::encode(TreeHash::EMPTY.as_bytes()), hex::encode(Sha256::digest([])));
    let node = |left: [u8; 32], right: [u8; 32]| -> [u8; 32] {
        Sha256::new().chain_update([1]).chain_update(left).chain_update(right).finalize().into()
    };
    let mut level: Vec<[u8; 32]> = ENTRIES
        .map(|entry| Sha256::digest([vec![0], hex::decode(entry).expect("hex")].concat()).into())
        .into();
    while level.len() > 1 {
        level = level.chunks(2).map(|pair| node(pair[0], pair[1])).collect();
    }
    assert_eq!(Entries::new().root(8), base64::encode(&level[0]));
}
