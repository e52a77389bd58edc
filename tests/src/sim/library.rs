//! Everything that was ever made in a run, whoever still has it: what the checker judges by.
//!
//! Invariants: nodes write here and never read. What it is not: a way for bytes to travel.

use std::collections::BTreeMap;
use std::sync::Arc;

use protocol::round::UpdateCommit;
use protocol::{ContentId, FeedHead, FeedId, FileHash, Frontier, Signed};

/// Bytes and truths, by hash.
#[derive(Debug, Default)]
pub(super) struct Library {
    blobs: BTreeMap<FileHash, Arc<Vec<u8>>>,
    /// The works behind a data commit's root.
    used: BTreeMap<FileHash, Vec<ContentId>>,
    /// Where in which feed each work was refused.
    denies: BTreeMap<ContentId, Vec<(FeedId, u64)>>,
    /// How far each feed goes.
    feeds: BTreeMap<FeedId, u64>,
}

impl Library {
    /// Takes note of bytes.
    pub(super) fn keep(&mut self, bytes: &Arc<Vec<u8>>) -> FileHash {
        let hash = FileHash::of(bytes);
        self.blobs.entry(hash).or_insert_with(|| bytes.clone());
        hash
    }

    /// The bytes with this hash.
    pub(super) fn blob(&self, hash: &FileHash) -> Option<&Arc<Vec<u8>>> {
        self.blobs.get(hash)
    }

    /// Takes note of the works behind a root.
    pub(super) fn used(&mut self, root: FileHash, works: Vec<ContentId>) {
        self.used.insert(root, works);
    }

    /// Takes note of a refusal.
    pub(super) fn denied(&mut self, work: ContentId, feed: FeedId, seq: u64) {
        self.denies.entry(work).or_default().push((feed, seq));
        self.feeds.insert(feed, seq);
    }

    /// Whether there are records that reach this frontier.
    pub(super) fn reaches(&self, frontier: &Frontier) -> bool {
        let exists = |head: &FeedHead| self.feeds.get(&head.feed) >= Some(&head.seq);
        frontier.heads().iter().all(exists)
    }

    /// The frontier with this hash.
    pub(super) fn frontier(&self, hash: &FileHash) -> Option<Frontier> {
        Frontier::from_bytes(self.blob(hash)?).ok()
    }

    /// A work that the commit used although somebody who knows `frontier` knows of a refusal.
    pub(super) fn misused(
        &self,
        commit: &Signed<UpdateCommit>,
        frontier: &Frontier,
    ) -> Option<ContentId> {
        let used = self.used.get(&commit.value().data.used_root)?;
        let known = |(feed, seq): &(FeedId, u64)| frontier.seq(feed) >= Some(*seq);
        let refused = |work: &&ContentId| {
            self.denies.get(work).is_some_and(|places| places.iter().any(known))
        };
        used.iter().find(refused).copied()
    }
}
