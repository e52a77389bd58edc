//! Payloads about keys: birth, rotation, compromise, and the joining of branches.
//!
//! Invariants: none of them names a time; what they end or begin is told by places in feeds.
//! What it is not: their effect, which `ledger` computes from all feeds together.

use serde::{Deserialize, Serialize};

use protocol::{FeedId, FileHash, PublicKey, RecordId};

/// The first record of every feed of an identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Genesis {
    /// The blake3 hash of the root public key, whose holder alone may lift and rotate. The key
    /// itself is shown when it first signs.
    pub root_commitment: FileHash,
    /// The number found by work; see [`Genesis::work_bits`].
    pub work: u64,
}

/// New keys for the rest of the feed. Only the root key signs it.
///
/// The keys it replaces are retired for the identity's other feeds too: what they allowed or lifted
/// there is void, as nobody can tell whether it came before or after.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rotation {
    /// The daily key from here on.
    pub daily: PublicKey,
    /// The blake3 hash of the root public key from here on.
    pub root_commitment: FileHash,
}

/// Word that a key is in the wrong hands: what it allowed or lifted is void, in every feed with the
/// same root key at birth, but for what stands in this feed before `kept`.
///
/// The root key may say it of either key in force, the daily key only of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compromise {
    /// The key.
    pub key: PublicKey,
    /// The first sequence number of this feed from which on the key is not trusted.
    pub kept: u64,
}

/// The joining of a feed's branches: what comes after it has full power again. Only the root key
/// signs it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reconcile {
    /// The ends of the other branches, sorted; each at a lower place than this record.
    pub heads: Vec<RecordId>,
}

impl Genesis {
    /// How many bits of work went into it: the leading zero bits of
    ///
    /// ```text
    /// blake3( blake3("accord/genesis-work/v1\n" author feed root_commitment)  work )
    /// ```
    ///
    /// with `feed` (4 bytes) and `work` (8 bytes) little endian. A bit more takes twice the time to
    /// find, and any number is verified with two hashes.
    pub fn work_bits(&self, feed: FeedId) -> u32 {
        zero_bits(&self.seed(feed), self.work)
    }

    /// The genesis with the lowest number, from `self.work` on, that has at least `bits` of work.
    /// Takes `2^bits` hashes on average.
    pub fn worked(mut self, feed: FeedId, bits: u32) -> Self {
        let seed = self.seed(feed);
        while zero_bits(&seed, self.work) < bits {
            self.work = self.work.wrapping_add(1);
        }
        self
    }

    /// The same among the next `count` numbers only, for a search on several cores.
    pub fn worked_within(mut self, feed: FeedId, bits: u32, count: u64) -> Option<Self> {
        let seed = self.seed(feed);
        let first = self.work;
        let found = (0..count).find(|at| zero_bits(&seed, first.wrapping_add(*at)) >= bits)?;
        self.work = first.wrapping_add(found);
        Some(self)
    }

    fn seed(&self, feed: FeedId) -> [u8; 32] {
        *blake3::Hasher::new()
            .update(b"accord/genesis-work/v1\n")
            .update(feed.author.as_bytes())
            .update(&feed.feed.to_le_bytes())
            .update(self.root_commitment.as_bytes())
            .finalize()
            .as_bytes()
    }
}

fn zero_bits(seed: &[u8; 32], work: u64) -> u32 {
    let mut block = [0; 40];
    block[..32].copy_from_slice(seed);
    block[32..].copy_from_slice(&work.to_le_bytes());
    let hash = *blake3::hash(&block).as_bytes();
    let words = hash.as_chunks::<8>().0.iter().map(|word| u64::from_be_bytes(*word));
    let mut bits = 0;
    for word in words {
        bits += word.leading_zeros();
        if word != 0 {
            break;
        }
    }
    bits
}

/// What a genesis or a rotation commits to, for this root key.
pub fn root_commitment(root: &PublicKey) -> FileHash {
    FileHash::of(root.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::SecretKey;

    #[test]
    fn work_is_for_one_feed_and_one_root() {
        let author = SecretKey::from_seed(&[1; 32]).public();
        let feed = FeedId { author, feed: 0 };
        let genesis = Genesis { root_commitment: FileHash::of(b"root"), work: 0 }.worked(feed, 12);
        assert!(genesis.work_bits(feed) >= 12);
        assert!(genesis.work_bits(FeedId { feed: 1, ..feed }) < 12);
        let other = Genesis { root_commitment: FileHash::of(b"another"), ..genesis };
        assert!(other.work_bits(feed) < 12);
        assert_eq!(genesis.work, 3_750, "the lowest number that does");
        let parts =
            |at: u64| Genesis { work: at << 10, ..genesis }.worked_within(feed, 12, 1 << 10);
        assert_eq!((0..4).filter_map(parts).next(), Some(genesis));
    }
}
