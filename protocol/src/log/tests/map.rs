//! The map against its definition: one root for one set, and proofs that cannot be bent.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn key(number: u64) -> [u8; 32] {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&number.to_be_bytes());
    key
}

fn filled(keys: impl IntoIterator<Item = u64>) -> Map {
    let mut map = Map::default();
    for number in keys {
        map.insert(&key(number), key(number + 1)).expect("room");
    }
    map
}

/// The root by the rules of the module's head, recursive over sorted entries.
fn defined(leaves: &[Leaf]) -> TreeHash {
    match leaves {
        [] => empty_root(),
        [leaf] => leaf.hash(),
        [first, .., last] => {
            let bit = first.position.first_difference(&last.position).expect("distinct");
            let split = leaves.partition_point(|leaf| !leaf.position.bit(bit));
            branch_hash(bit, &defined(&leaves[..split]), &defined(&leaves[split..]))
        }
    }
}

fn defined_of(entries: &BTreeMap<u64, u64>) -> TreeHash {
    let leaf = |(k, v): (&u64, &u64)| Leaf { position: Position::of(&key(*k)), value: key(*v) };
    let mut leaves: Vec<Leaf> = entries.iter().map(leaf).collect();
    leaves.sort_by_key(|leaf| leaf.position);
    defined(&leaves)
}

#[test]
fn bits_count_from_the_first() {
    let position = |first: u8, last: u8| {
        let mut bytes = [0; 32];
        (bytes[0], bytes[31]) = (first, last);
        Position(bytes)
    };
    assert!(position(0x80, 0).bit(0) && !position(0x80, 0).bit(1) && position(0, 1).bit(255));
    let zero = position(0, 0);
    assert_eq!(zero.first_difference(&position(0x80, 0)), Some(0));
    assert_eq!(zero.first_difference(&position(1, 1)), Some(7));
    assert_eq!(zero.first_difference(&position(0, 1)), Some(255));
    assert_eq!(zero.first_difference(&zero), None);
}

#[test]
fn every_key_is_proved_present_or_absent() {
    for size in 0..40 {
        let mut map = filled(0..size);
        let root = map.root();
        for number in 0..80 {
            let proof = map.prove(&key(number));
            let expected = (number < size).then(|| key(number + 1));
            assert_eq!(proof.verify(&key(number), &root), Ok(expected), "{number} of {size}");
            assert_eq!(MapProof::parse(&proof.to_bytes()), Ok(proof.clone()));
            assert_eq!(map.value(&key(number)), expected);
            // The same proof says the truth of any other key, or nothing.
            for other in 0..80 {
                if let Ok(value) = proof.verify(&key(other), &root) {
                    assert_eq!(value, (other < size).then(|| key(other + 1)));
                }
            }
        }
    }
}

#[test]
fn no_bit_of_a_proof_is_free() {
    let mut map = filled(0..50);
    let root = map.root();
    for number in [7, 1_000] {
        let bytes = map.prove(&key(number)).to_bytes();
        for bit in 0..bytes.len() * 8 {
            let mut forged = bytes.clone();
            forged[bit / 8] ^= 1 << (bit % 8);
            let result = MapProof::parse(&forged).and_then(|p| p.verify(&key(number), &root));
            assert!(result.is_err(), "bit {bit} for {number}");
        }
        for bit in 0..256 {
            let mut forged = *root.as_bytes();
            forged[bit / 8] ^= 1 << (bit % 8);
            let proof = MapProof::parse(&bytes).expect("a proof");
            assert!(proof.verify(&key(number), &TreeHash::from_bytes(forged)).is_err());
        }
    }
}

#[test]
fn lengths_that_are_no_proof_are_refused() {
    assert_eq!(MapProof::parse(&[]).map(|proof| proof.is_empty()), Ok(true));
    for bytes in [1, 31, 32, 63, 65, 96, 64 + 33 * 257] {
        assert_eq!(MapProof::parse(&vec![0; bytes]), Err(MapProofError::Length(bytes)));
    }
    // An empty map's proof is of an empty map only.
    let empty = Map::default().root();
    let nothing = MapProof::parse(&[]).expect("a proof");
    assert_eq!(nothing.verify(&key(1), &empty), Ok(None));
    assert_eq!(nothing.verify(&key(1), &filled(0..1).root()), Err(MapProofError::Root));
}

#[test]
fn a_neighbour_from_elsewhere_proves_no_absence() {
    // For each key present: no leaf and path of the map shows it absent.
    let mut map = filled(0..64);
    let root = map.root();
    for number in 0..64 {
        for other in (0..64).filter(|&other| other != number) {
            let result = map.prove(&key(other)).verify(&key(number), &root);
            assert_eq!(result, Err(MapProofError::Path), "{other} for {number}");
        }
    }
}

#[test]
fn bits_out_of_order_are_refused_even_under_their_root() {
    // Built by hand: a root whose second branch looks at an earlier bit than its first.
    let (a, b) = (Position::of(&key(1)), Position::of(&key(2)));
    let leaf = Leaf { position: a, value: key(9) };
    let sibling = Leaf { position: b, value: key(9) }.hash();
    let hash_at = |bit: u8, hash: &TreeHash| match a.bit(bit) {
        false => branch_hash(bit, hash, &sibling),
        true => branch_hash(bit, &sibling, hash),
    };
    let root = hash_at(9, &hash_at(4, &leaf.hash()));
    let proof = MapProof { leaf: Some(leaf), steps: vec![(9, sibling), (4, sibling)] };
    assert_eq!(proof.verify(&key(1), &root), Err(MapProofError::Path));
    let twice = hash_at(9, &hash_at(9, &leaf.hash()));
    let proof = MapProof { leaf: Some(leaf), steps: vec![(9, sibling), (9, sibling)] };
    assert_eq!(proof.verify(&key(1), &twice), Err(MapProofError::Path));
}

#[test]
fn the_root_is_stated_once_or_not_at_all() {
    let root = filled(0..3).root();
    let stated = |lines: Vec<String>| {
        let checkpoint = Checkpoint::new("a", 1, TreeHash::EMPTY, lines).expect("parts");
        stated_root(&checkpoint)
    };
    assert_eq!(stated(vec![root_line(&root)]), Some(root));
    assert_eq!(stated(vec!["other".into(), root_line(&root)]), Some(root));
    assert_eq!(stated(vec![]), None);
    assert_eq!(stated(vec!["accord/map/v1 AAAA".into()]), None);
    assert_eq!(stated(vec![root_line(&root), root_line(&root)]), None);
}

#[test]
fn memory_is_as_stated() {
    assert_eq!((size_of::<Leaf>(), size_of::<Branch>()), (64, 44));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_root_is_that_of_the_set(
        writes in prop::collection::vec((0..60u64, 0..4u64), 0..200),
        roots_at in prop::collection::btree_set(0..200usize, 0..8),
    ) {
        // Writes in any order and with roots asked for in between, against the definition.
        let (mut map, mut entries) = (Map::default(), BTreeMap::new());
        for (at, (number, value)) in writes.iter().enumerate() {
            let before = map.insert(&key(*number), key(*value)).expect("room");
            prop_assert_eq!(before, entries.insert(*number, *value).map(key));
            if roots_at.contains(&at) {
                prop_assert_eq!(map.root(), defined_of(&entries));
            }
        }
        prop_assert_eq!(map.len(), entries.len());
        let writes = writes.iter().map(|(number, value)| (key(*number), key(*value)));
        prop_assert_eq!(Map::from_entries(writes).expect("room").root(), defined_of(&entries));
        let root = map.root();
        prop_assert_eq!(root, defined_of(&entries));
        for number in 0..60 {
            let expected = entries.get(&number).copied().map(key);
            prop_assert_eq!(map.prove(&key(number)).verify(&key(number), &root), Ok(expected));
        }
    }
}
