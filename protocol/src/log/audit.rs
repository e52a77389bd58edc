//! Inclusion and consistency proofs of RFC 6962 sections 2.1.1 and 2.1.2, made and checked.
//!
//! A proof is a list of hashes, from the leaf's side to the root's. Checking follows RFC 9162
//! sections 2.1.3.2 and 2.1.4.2, which describe the same proofs.
//!
//! Invariants: a proof has exactly the hashes that its sizes call for, one more or one less is an
//! error; a check makes one or two hashes per hash of the proof, of which there are at most 64.
//! What it is not: a judgement on who signed the root.

use super::tree::{HashSource, TreeHash, subtree_root};
use crate::limits::LOG_PROOF_HASHES_MAX;

/// Why a proof does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AuditError {
    /// There is no such entry in a tree of that size.
    #[error("entry {index} is not within a tree of {size} entries")]
    OutOfTree {
        /// The entry's index.
        index: u64,
        /// The tree's size.
        size: u64,
    },
    /// A tree does not grow from a larger one, and nothing is proved of an empty one.
    #[error("no proof leads from {old_size} entries to {size}")]
    Sizes {
        /// The size of the old tree.
        old_size: u64,
        /// The size of the new tree.
        size: u64,
    },
    /// Too few hashes or too many.
    #[error("the proof has {0} hashes, which is not what its sizes call for")]
    Length(usize),
    /// The hashes do not lead to the old tree's root.
    #[error("the proof does not lead to the old root")]
    OldRoot,
    /// The hashes do not lead to the tree's root.
    #[error("the proof does not lead to the root")]
    Root,
}

/// Why a proof could not be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProveError<E> {
    /// There is nothing to prove between these sizes, or no such entry.
    #[error("there is no proof for {from} in a tree of {size} entries")]
    Range {
        /// The entry's index, or the old tree's size.
        from: u64,
        /// The tree's size.
        size: u64,
    },
    /// A hash could not be had.
    #[error("a hash of the tree could not be had: {0}")]
    Source(E),
}

/// Proof that the entry `index` is in the tree of `size` entries.
pub fn prove_inclusion<S: HashSource>(
    index: u64,
    size: u64,
    source: &S,
) -> Result<Vec<TreeHash>, ProveError<S::Error>> {
    if index >= size {
        return Err(ProveError::Range { from: index, size });
    }
    // From the root to the leaf, the sibling at each step; then turned round.
    let (mut start, mut end, mut proof) = (0, size, Vec::new());
    while end - start > 1 {
        let middle = start + split(end - start);
        let sibling = if index < middle { (middle, end) } else { (start, middle) };
        proof.push(subtree_root(sibling.0, sibling.1, source).map_err(ProveError::Source)?);
        (start, end) = if index < middle { (start, middle) } else { (middle, end) };
    }
    proof.reverse();
    Ok(proof)
}

/// Proof that the tree of `size` entries begins with the tree of its first `old_size` entries.
pub fn prove_consistency<S: HashSource>(
    old_size: u64,
    size: u64,
    source: &S,
) -> Result<Vec<TreeHash>, ProveError<S::Error>> {
    if old_size == 0 || old_size > size {
        return Err(ProveError::Range { from: old_size, size });
    }
    let (mut start, mut end, mut proof) = (0, size, Vec::new());
    while end != old_size {
        let middle = start + split(end - start);
        let sibling = if old_size <= middle { (middle, end) } else { (start, middle) };
        proof.push(subtree_root(sibling.0, sibling.1, source).map_err(ProveError::Source)?);
        (start, end) = if old_size <= middle { (start, middle) } else { (middle, end) };
    }
    // The old tree's last subtree; whoever checks has it already if it is the whole old tree.
    if start != 0 {
        proof.push(subtree_root(start, end, source).map_err(ProveError::Source)?);
    }
    proof.reverse();
    Ok(proof)
}

/// The root that the entry and its proof lead to.
pub fn inclusion_root(
    entry_hash: &TreeHash,
    index: u64,
    size: u64,
    proof: &[TreeHash],
) -> Result<TreeHash, AuditError> {
    if index >= size {
        return Err(AuditError::OutOfTree { index, size });
    }
    let length = AuditError::Length(proof.len());
    if proof.len() > LOG_PROOF_HASHES_MAX {
        return Err(length);
    }
    let (mut at, mut last, mut hash) = (index, size - 1, *entry_hash);
    for sibling in proof {
        if last == 0 {
            return Err(length);
        }
        if at & 1 == 1 || at == last {
            hash = TreeHash::of_node(sibling, &hash);
            // Levels at which the subtree is the last and has no sibling.
            let levels = if at & 1 == 1 { 0 } else { at.trailing_zeros() };
            (at, last) = (at >> levels, last >> levels);
        } else {
            hash = TreeHash::of_node(&hash, sibling);
        }
        (at, last) = (at >> 1, last >> 1);
    }
    if last == 0 { Ok(hash) } else { Err(length) }
}

/// Checks that the entry `index` of the tree with this size and root has this hash.
pub fn verify_inclusion(
    entry_hash: &TreeHash,
    index: u64,
    size: u64,
    proof: &[TreeHash],
    root: &TreeHash,
) -> Result<(), AuditError> {
    if inclusion_root(entry_hash, index, size, proof)? == *root {
        Ok(())
    } else {
        Err(AuditError::Root)
    }
}

/// Checks that the tree of `size` and `root` begins with the one of `old_size` and `old_root`.
///
/// `old_size` must not be zero: the empty tree begins every tree, and no proof is needed.
pub fn verify_consistency(
    old_size: u64,
    old_root: &TreeHash,
    size: u64,
    root: &TreeHash,
    proof: &[TreeHash],
) -> Result<(), AuditError> {
    if old_size == 0 || old_size > size {
        return Err(AuditError::Sizes { old_size, size });
    }
    let length = AuditError::Length(proof.len());
    if old_size == size {
        return match (proof, old_root == root) {
            ([], true) => Ok(()),
            ([], false) => Err(AuditError::Root),
            _ => Err(length),
        };
    }
    if proof.len() > LOG_PROOF_HASHES_MAX {
        return Err(length);
    }
    // If the old tree is one complete subtree, its root starts the walk and is not in the proof.
    let (first, rest) = if old_size.is_power_of_two() {
        (old_root, proof)
    } else {
        proof.split_first().ok_or(length)?
    };
    let levels = (old_size - 1).trailing_ones();
    let (mut at, mut last) = ((old_size - 1) >> levels, (size - 1) >> levels);
    let (mut old_hash, mut hash) = (*first, *first);
    for sibling in rest {
        if last == 0 {
            return Err(length);
        }
        if at & 1 == 1 || at == last {
            old_hash = TreeHash::of_node(sibling, &old_hash);
            hash = TreeHash::of_node(sibling, &hash);
            let levels = if at & 1 == 1 { 0 } else { at.trailing_zeros() };
            (at, last) = (at >> levels, last >> levels);
        } else {
            hash = TreeHash::of_node(&hash, sibling);
        }
        (at, last) = (at >> 1, last >> 1);
    }
    if last != 0 {
        return Err(length);
    }
    match (old_hash == *old_root, hash == *root) {
        (true, true) => Ok(()),
        (false, _) => Err(AuditError::OldRoot),
        (true, false) => Err(AuditError::Root),
    }
}

/// The size of the left subtree of a tree of `size >= 2` entries.
fn split(size: u64) -> u64 {
    1 << (size - 1).ilog2()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tree::tests::{Memory, defined, entries};
    use super::*;

    fn flipped(hash: &TreeHash, bit: usize) -> TreeHash {
        let mut bytes = *hash.as_bytes();
        bytes[bit / 8] ^= 1 << (bit % 8);
        TreeHash::from_bytes(bytes)
    }

    #[test]
    fn every_inclusion_proof_holds_for_its_entry_only() {
        let memory = entries(70);
        for size in 1..=70u64 {
            let root = defined(&memory.0[..size as usize]);
            for index in 0..size {
                let proof = prove_inclusion(index, size, &memory).expect("in the tree");
                let verify = |index| {
                    let entry = &memory.0[index as usize];
                    move |at, size, proof: &[TreeHash]| {
                        verify_inclusion(entry, at, size, proof, &root)
                    }
                };
                assert_eq!(verify(index)(index, size, &proof), Ok(()), "{index} of {size}");
                assert!(
                    (0..size).all(|at| at == index || verify(index)(at, size, &proof).is_err())
                );
                let more = [&proof[..], &[root]].concat();
                assert_eq!(verify(index)(index, size, &more), Err(AuditError::Length(more.len())));
                if let Some((_, less)) = proof.split_last() {
                    assert_eq!(
                        verify(index)(index, size, less),
                        Err(AuditError::Length(less.len()))
                    );
                }
            }
            assert!(prove_inclusion(size, size, &memory).is_err());
        }
    }

    #[test]
    fn every_consistency_proof_holds_for_its_sizes_only() {
        let memory = entries(66);
        let roots: Vec<TreeHash> = (0..=66).map(|size| defined(&memory.0[..size])).collect();
        let check = |old: u64, new: u64, proof: &[TreeHash]| {
            verify_consistency(old, &roots[old as usize], new, &roots[new as usize], proof)
        };
        for new in 1..=66u64 {
            for old in 1..=new {
                let proof = prove_consistency(old, new, &memory).expect("grows");
                assert_eq!(check(old, new, &proof), Ok(()), "{old} to {new}");
                let more = [&proof[..], &[roots[0]]].concat();
                assert!(check(old, new, &more).is_err());
                if let Some((_, less)) = proof.split_last() {
                    assert!(check(old, new, less).is_err());
                }
                for other in 1..=66u64 {
                    // The same proof may serve two sizes, but never with another size's root.
                    let root = &roots[old as usize];
                    let wrong = verify_consistency(other, root, new, &roots[new as usize], &proof);
                    assert!(other == old || wrong.is_err(), "{other} for {old} to {new}");
                }
            }
            assert!(prove_consistency(0, new, &memory).is_err());
            assert!(prove_consistency(new + 1, new, &memory).is_err());
        }
    }

    #[test]
    fn sizes_at_the_end_of_the_range_do_not_overflow() {
        let any = TreeHash::EMPTY;
        for proof in [&[][..], &[any; 63], &[any; 64], &[any; 65]] {
            assert!(verify_inclusion(&any, u64::MAX - 1, u64::MAX, proof, &any).is_err());
            assert!(verify_inclusion(&any, 0, u64::MAX, proof, &any).is_err());
            assert!(verify_consistency(1, &any, u64::MAX, &any, proof).is_err());
            assert!(verify_consistency(u64::MAX - 1, &any, u64::MAX, &any, proof).is_err());
            assert!(verify_consistency(1 << 63, &any, u64::MAX, &any, proof).is_err());
        }
    }

    fn sizes() -> impl Strategy<Value = (usize, usize, usize)> {
        (1..400usize).prop_flat_map(|size| (Just(size), 0..size, 1..=size))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn no_bit_of_a_proof_is_free((size, index, old_size) in sizes(), bit in 0..256usize) {
            let memory = Memory(entries(size).0);
            let (size, index) = (size as u64, index as u64);
            let root = defined(&memory.0);
            let proof = prove_inclusion(index, size, &memory).expect("in the tree");
            let entry = memory.0[index as usize];
            prop_assert_eq!(verify_inclusion(&entry, index, size, &proof, &root), Ok(()));
            for at in 0..proof.len() {
                let mut forged = proof.clone();
                forged[at] = flipped(&proof[at], bit);
                let result = verify_inclusion(&entry, index, size, &forged, &root);
                prop_assert_eq!(result, Err(AuditError::Root));
            }
            let (old_root, old_size) = (defined(&memory.0[..old_size]), old_size as u64);
            let proof = prove_consistency(old_size, size, &memory).expect("grows");
            let check = |proof: &[TreeHash]| {
                verify_consistency(old_size, &old_root, size, &root, proof)
            };
            prop_assert_eq!(check(&proof), Ok(()));
            for at in 0..proof.len() {
                let mut forged = proof.clone();
                forged[at] = flipped(&proof[at], bit);
                prop_assert!(check(&forged).is_err());
            }
        }
    }
}
