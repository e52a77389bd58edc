//! Collections that statements name, and the works of those whose lists are here.
//!
//! The root alone says which list is a collection's. What statements say of its length and of the
//! blob that is its list helps to find it; strangers may say it wrongly, so every description stands
//! beside the others, in the order in which they came.
//!
//! Invariants: a collection without its list matches nothing, as nobody can tell what it holds.
//! What it is not: what brings the lists.

use std::collections::{BTreeMap, BTreeSet};

use protocol::{ContentId, FileHash};

use super::Ledger;
use super::exact::ExactIndex;
use super::table::{Slot, TableSeed};
use crate::subject::Collection;

/// Why a list is not a collection's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ListError {
    /// No statement names it.
    #[error("no statement names a collection with the root {0}")]
    Unnamed(FileHash),
    /// Not rising ids.
    #[error("a collection's list has its content ids sorted, each once")]
    Order,
    /// Not what the root stands for.
    #[error("the list has another root than the collection")]
    Root,
}

/// The collections.
#[derive(Debug, Default)]
pub(super) struct Collections {
    /// By root.
    named: BTreeMap<FileHash, Named>,
    described: Vec<Collection>,
    /// The works in lists; the slot is a place in `lists`.
    members: ExactIndex,
    lists: Vec<FileHash>,
    works: u64,
}

/// What names a collection.
#[derive(Debug, Default)]
struct Named {
    slots: Vec<Slot>,
    /// What they say of its length and list.
    described: BTreeSet<Collection>,
    is_listed: bool,
}

impl Collections {
    pub(super) fn new(seed: TableSeed) -> Self {
        Self { members: ExactIndex::new(seed), ..Self::default() }
    }

    /// Takes note that the statement in `slot` names a collection.
    pub(super) fn name(&mut self, collection: Collection, slot: Slot) {
        let named = self.named.entry(collection.root).or_default();
        named.slots.push(slot);
        if named.described.insert(collection) {
            self.described.push(collection);
        }
    }

    /// The statements that name the collection with this root.
    pub(super) fn naming(&self, root: &FileHash) -> &[Slot] {
        self.named.get(root).map_or(&[], |named| &named.slots)
    }

    /// The statements that name a collection with this work.
    pub(super) fn of(&self, work: &ContentId) -> impl Iterator<Item = Slot> {
        let lists = self.members.of(work).map(|list| &self.lists[list as usize]);
        lists.flat_map(|root| self.naming(root)).copied()
    }

    fn is_listed(&self, root: &FileHash) -> bool {
        self.named.get(root).is_some_and(|named| named.is_listed)
    }

    fn add_list(&mut self, root: FileHash, works: &[ContentId]) -> Result<(), ListError> {
        let named = self.named.get_mut(&root).ok_or(ListError::Unnamed(root))?;
        if named.is_listed {
            return Ok(());
        }
        if !works.is_sorted_by(|a, b| a < b) {
            return Err(ListError::Order);
        }
        if protocol::merkle::root(works.iter().map(ContentId::as_bytes)) != root {
            return Err(ListError::Root);
        }
        named.is_listed = true;
        let list = self.lists.len() as Slot;
        self.lists.push(root);
        self.works += works.len() as u64;
        for work in works {
            self.members.push(*work, list);
        }
        self.members.link();
        Ok(())
    }
}

impl Ledger {
    fn collections_named(&self) -> &Collections {
        &self.statements.subjects.collections
    }

    /// The collections that statements name, as they describe them, in the order in which that was
    /// said first. There may be several with one root; the list that has the root is right.
    pub fn collections(&self) -> &[Collection] {
        &self.collections_named().described
    }

    /// Those whose lists are not here.
    pub fn collections_missing(&self) -> impl Iterator<Item = Collection> {
        self.collections().iter().filter(|it| !self.is_listed(&it.root)).copied()
    }

    /// Whether the list of the collection with this root is here.
    pub fn is_listed(&self, root: &FileHash) -> bool {
        self.collections_named().is_listed(root)
    }

    /// How many works there are in the lists that are here.
    pub fn works_listed(&self) -> u64 {
        self.collections_named().works
    }

    /// Takes the list of a collection: its works, sorted. Until then statements about the
    /// collection match nothing, as nobody can tell what they speak of.
    pub fn add_list(&mut self, root: FileHash, works: &[ContentId]) -> Result<(), ListError> {
        self.statements.subjects.collections.add_list(root, works)
    }
}
