//! Merkle roots over lists of byte strings: the tree of RFC 6962 section 2.1 with blake3, and proofs
//! that a leaf is at its place in one.
//!
//! Invariants: a leaf is `blake3(0x00 || bytes)`, a node `blake3(0x01 || left || right)`, the empty
//! list's root is `blake3("")`; the left subtree is the largest power of two that leaves something.
//! A path has the sibling at each level, from the leaf's side to the root's, and exactly as many as
//! index and count call for. What it is not: the SHA-256 log that outside witnesses sign.

use crate::id::FileHash;
use crate::limits::LOG_PROOF_HASHES_MAX;

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

/// The path of the leaf `index`; none if there are not so many leaves.
///
/// It hashes every leaf once, as [`root`] does.
pub fn path<T: AsRef<[u8]>>(leaves: &[T], index: usize) -> Option<Vec<FileHash>> {
    if index >= leaves.len() {
        return None;
    }
    // From the root down, the sibling at each step; then turned round.
    let (mut start, mut end, mut path) = (0, leaves.len(), Vec::new());
    while end - start > 1 {
        let middle = start + (1 << (end - start - 1).ilog2());
        let sibling = if index < middle { middle..end } else { start..middle };
        path.push(root(&leaves[sibling]));
        (start, end) = if index < middle { (start, middle) } else { (middle, end) };
    }
    path.reverse();
    Some(path)
}

/// The root of a list of `count` leaves that has `leaf` at `index`, as this path says; none if no
/// such list has a path of that length.
pub fn root_of_path(leaf: &[u8], index: u64, count: u64, path: &[FileHash]) -> Option<FileHash> {
    if index >= count || path.len() > LOG_PROOF_HASHES_MAX {
        return None;
    }
    let (mut at, mut last, mut hash) = (index, count - 1, leaf_hash(leaf));
    for sibling in path {
        if last == 0 {
            return None;
        }
        if at & 1 == 1 || at == last {
            hash = node_hash(sibling.as_bytes(), &hash);
            // Levels at which the subtree is the last and has no sibling.
            let levels = if at & 1 == 1 { 0 } else { at.trailing_zeros() };
            (at, last) = (at >> levels, last >> levels);
        } else {
            hash = node_hash(&hash, sibling.as_bytes());
        }
        (at, last) = (at >> 1, last >> 1);
    }
    (last == 0).then(|| FileHash::from_bytes(hash))
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

    #[test]
    fn every_path_leads_from_its_leaf_to_the_root_and_no_other_does() {
        for count in 1..40u8 {
            let leaves: Vec<[u8; 3]> = (0..count).map(|i| [i, 7, 7]).collect();
            let (root, many) = (root(&leaves), u64::from(count));
            for index in 0..usize::from(count) {
                let path = path(&leaves, index).expect("a leaf");
                let leads = |leaf: &[u8], at: u64, path: &[FileHash]| {
                    root_of_path(leaf, at, many, path) == Some(root)
                };
                for at in 0..many {
                    assert_eq!(leads(&leaves[index], at, &path), at == index as u64);
                }
                assert!(!leads(b"other", index as u64, &path));
                let more = [&path[..], &[root]].concat();
                assert!(!leads(&leaves[index], index as u64, &more));
                for cut in 0..path.len() {
                    assert!(!leads(&leaves[index], index as u64, &path[..cut]));
                    let mut bent = path.clone();
                    bent[cut] = FileHash::of(b"bent");
                    assert!(!leads(&leaves[index], index as u64, &bent));
                }
            }
            assert_eq!(path(&leaves, usize::from(count)), None);
        }
        let any = FileHash::of(b"");
        for length in [0, 1, 62, 63, 64, 65] {
            let path = vec![any; length];
            assert_ne!(root_of_path(b"", u64::MAX - 1, u64::MAX, &path), Some(any));
        }
    }
}
