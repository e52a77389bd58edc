//! Merkle roots over lists of byte strings: the tree of RFC 6962 section 2.1 with blake3.
//!
//! Invariants: a leaf is `blake3(0x00 || bytes)`, a node `blake3(0x01 || left || right)`, the empty
//! list's root is `blake3("")`; the left subtree is the largest power of two that leaves something.
//! What it is not: the SHA-256 log that outside witnesses sign.

use crate::id::FileHash;

/// The root of the leaves, in the order given.
pub fn root<T: AsRef<[u8]>>(leaves: impl IntoIterator<Item = T>) -> FileHash {
    // Complete subtrees, largest first: (leaf count, root). Two of one size merge at once.
    let mut subtrees: Vec<(u64, [u8; 32])> = Vec::new();
    for leaf in leaves {
        let mut tree = (1, leaf_hash(leaf.as_ref()));
        while let Some(&(count, left)) = subtrees.last() {
            if count != tree.0 {
                break;
            }
            subtrees.pop();
            tree = (count * 2, node_hash(&left, &tree.1));
        }
        subtrees.push(tree);
    }
    let Some((_, mut right)) = subtrees.pop() else { return FileHash::of(b"") };
    while let Some((_, left)) = subtrees.pop() {
        right = node_hash(&left, &right);
    }
    FileHash::from_bytes(right)
}

fn leaf_hash(leaf: &[u8]) -> [u8; 32] {
    *blake3::Hasher::new().update(&[0]).update(leaf).finalize().as_bytes()
}

fn node_hash(left: &[u8; 32], right: &[u8; 32]) -> [u8; 32] {
    *blake3::Hasher::new().update(&[1]).update(left).update(right).finalize().as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition of RFC 6962, recursive and slow.
    fn defined(leaves: &[Vec<u8>]) -> [u8; 32] {
        match leaves {
            [] => *blake3::hash(b"").as_bytes(),
            [leaf] => leaf_hash(leaf),
            _ => {
                let split = leaves.len().next_power_of_two() / 2;
                node_hash(&defined(&leaves[..split]), &defined(&leaves[split..]))
            }
        }
    }

    #[test]
    fn the_root_is_the_defined_one_for_every_size() {
        for size in 0..70u8 {
            let leaves: Vec<Vec<u8>> = (0..size).map(|i| vec![i; usize::from(i % 5)]).collect();
            assert_eq!(root(&leaves).as_bytes(), &defined(&leaves), "{size} leaves");
        }
    }
}
