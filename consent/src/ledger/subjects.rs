//! Which statements speak of a work: by its bytes, its collection, its likeness, its maker.
//!
//! Invariants: finds a superset of what counts; what a statement found says, and whether it counts,
//! is for others. A feed's subjects by likeness count up to a bound, by their place in the feed, so
//! that every ledger leaves out the same. What it is not: dependent on the order of arrival.

use std::collections::{BTreeMap, BTreeSet};

use protocol::limits::SIMILAR_PER_FEED_MAX;
use protocol::{ContentId, FileHash, PublicKey};

use super::Ledger;
use super::exact::{ExactIndex, TOGETHER_MAX};
use super::table::{Slot, TableSeed};
use crate::code::CodeKind;
use crate::fingerprint::PassageIndex;
use crate::hamming::{HammingIndex, Scratch};
use crate::policy::Likeness;
use crate::subject::{Collection, Subject};
use crate::terms::{Address, Place};
use crate::work::{Match, Work};

/// The indexes.
#[derive(Debug, Default)]
pub(crate) struct Subjects {
    content: ExactIndex,
    codes: BTreeMap<CodeKind, HammingIndex>,
    passages: PassageIndex,
    makers: BTreeMap<PublicKey, Vec<Slot>>,
    /// By host.
    places: BTreeMap<String, Vec<(Place, Slot)>>,
    collections: BTreeMap<FileHash, Named>,
    /// The collections' works; the slot is a place in `lists`.
    members: ExactIndex,
    lists: Vec<FileHash>,
}

/// The statements that name a collection, and whether its list is here.
#[derive(Debug)]
struct Named {
    slots: Vec<Slot>,
    /// What statements say of its length and list; strangers may say it wrongly.
    described: BTreeSet<Collection>,
    is_listed: bool,
}

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

impl Subjects {
    pub(crate) fn new(seed: TableSeed) -> Self {
        let (content, members) = (ExactIndex::new(seed), ExactIndex::new(seed));
        Self { content, members, ..Self::default() }
    }

    /// Adds the subjects of the statement in `slot`; works are found after the next
    /// [`Subjects::link`]. `similar` and what is returned count the feed's subjects by likeness before
    /// and after.
    pub(crate) fn add(&mut self, slot: Slot, subjects: &[Subject], mut similar: u32) -> u32 {
        for subject in subjects {
            match subject {
                Subject::Content(content) => self.content.push(*content, slot),
                Subject::Code(kind, code) => {
                    if similar < SIMILAR_PER_FEED_MAX {
                        self.codes.entry(*kind).or_default().insert(code, slot);
                    }
                    similar = similar.saturating_add(1);
                }
                Subject::Passages(prints) => {
                    if similar < SIMILAR_PER_FEED_MAX {
                        // One that is full finds fewer copies; it decides nothing that nodes must
                        // agree on.
                        let _ = self.passages.insert(slot, prints);
                    }
                    similar = similar.saturating_add(1);
                }
                Subject::Place(place) => {
                    let of_host = self.places.entry(place.host().to_owned()).or_default();
                    of_host.push((place.clone(), slot));
                }
                Subject::Identity(identity) => {
                    self.makers.entry(*identity).or_default().push(slot);
                }
                Subject::Collection(collection) => {
                    let named = self.collections.entry(collection.root).or_insert_with(|| Named {
                        slots: Vec::new(),
                        described: BTreeSet::new(),
                        is_listed: false,
                    });
                    named.slots.push(slot);
                    named.described.insert(*collection);
                }
                Subject::Unknown { .. } => {}
            }
        }
        similar
    }

    /// Lets the works be found that were added since.
    pub(crate) fn link(&mut self) {
        self.content.link();
    }

    /// Hands every statement that may speak of `work` to `visit`; one may come more than once.
    pub(crate) fn find(
        &self,
        work: &Work,
        likeness: &Likeness,
        scratch: &mut Scratch,
        mut visit: impl FnMut(Slot, Match),
    ) {
        for slot in self.content.of(&work.content) {
            visit(slot, Match::Content);
        }
        for list in self.members.of(&work.content) {
            let named = self.collections.get(&self.lists[list as usize]);
            for slot in named.map_or(&[][..], |named| &named.slots) {
                visit(*slot, Match::Collection);
            }
        }
        let Some(marks) = &work.marks else { return };
        for (kind, code) in &marks.codes {
            let Some(index) = self.codes.get(kind) else { continue };
            for hit in index.within(code, likeness.distance_max(*kind), scratch) {
                visit(hit.tag, Match::Code { kind: *kind, distance: hit.distance });
            }
        }
        if !marks.passages.is_empty() && !self.passages.is_empty() {
            for hit in self.passages.find(&marks.passages) {
                let (told, of) = (hit.shared - hit.common, hit.of);
                let enough = likeness.passages_min.min(of).max(1);
                // Common wording tells no work from another, but a text with half of one or more is
                // its copy: so nobody hides a work by registering it again many times.
                let is_copy = hit.shared >= enough && hit.shared >= of.div_ceil(2);
                if told >= enough || is_copy {
                    visit(hit.tag, Match::Passages { shared: hit.shared, of });
                }
            }
        }
        for address in &marks.addresses {
            self.find_places(address, &mut visit);
        }
        for maker in &marks.makers {
            for slot in self.makers.get(maker).map_or(&[][..], Vec::as_slice) {
                visit(*slot, Match::Maker(*maker));
            }
        }
    }
}

impl Subjects {
    /// Hands every statement that names this subject to `visit`; of passages also those that name
    /// some of them. Not of places, makers and what is unknown: nobody asks.
    fn find_naming(&self, subject: &Subject, scratch: &mut Scratch, mut visit: impl FnMut(Slot)) {
        match subject {
            Subject::Content(content) => self.content.of(content).for_each(visit),
            Subject::Collection(collection) => {
                let named = self.collections.get(&collection.root);
                named.map_or(&[][..], |named| &named.slots).iter().copied().for_each(visit);
            }
            Subject::Code(kind, code) => {
                let Some(index) = self.codes.get(kind) else { return };
                index.within(code, 0, scratch).iter().for_each(|hit| visit(hit.tag));
            }
            Subject::Passages(prints) => {
                self.passages.find(prints).iter().for_each(|hit| visit(hit.tag));
            }
            Subject::Place(_) | Subject::Identity(_) | Subject::Unknown { .. } => {}
        }
    }

    /// The places that cover an address are of its host, or of a domain above it.
    fn find_places(&self, address: &Address, visit: &mut impl FnMut(Slot, Match)) {
        let mut rest = Some(address.host());
        while let Some(host) = rest {
            for (place, slot) in self.places.get(host).map_or(&[][..], Vec::as_slice) {
                if place.covers_address(address) {
                    visit(*slot, Match::Place);
                }
            }
            rest = host.split_once('.').map(|(_, above)| above);
        }
    }
}

impl Ledger {
    /// As [`Subjects::find`].
    pub(crate) fn find(
        &self,
        work: &Work,
        likeness: &Likeness,
        scratch: &mut Scratch,
        visit: impl FnMut(Slot, Match),
    ) {
        self.statements.subjects.find(work, likeness, scratch, visit);
    }

    /// Has what is kept of these contents near, so that [`Ledger::find`] is quick about each.
    pub(crate) fn look_ahead(&self, contents: &[ContentId]) {
        for some in contents.chunks(TOGETHER_MAX) {
            let slots = self.statements.subjects.content.look_ahead(some);
            let entries = slots.iter().flatten().map(|slot| self.entry(*slot));
            std::hint::black_box(entries.fold(0, |near, entry| near ^ entry.keys));
        }
    }

    /// As [`Subjects::find_naming`].
    pub(crate) fn find_naming(
        &self,
        subject: &Subject,
        scratch: &mut Scratch,
        visit: impl FnMut(Slot),
    ) {
        self.statements.subjects.find_naming(subject, scratch, visit);
    }

    /// How many statements name this fingerprint of a passage, as
    /// [`PassageIndex::works_with`].
    pub(crate) fn naming_passage(&self, print: u64) -> usize {
        self.statements.subjects.passages.works_with(print)
    }

    /// The collections that statements name and whose lists are not here. There may be several
    /// with one root, as statements may describe it wrongly; the list that has the root is right.
    pub fn collections_missing(&self) -> impl Iterator<Item = Collection> {
        let named = self.statements.subjects.collections.values();
        named.filter(|named| !named.is_listed).flat_map(|named| named.described.iter().copied())
    }

    /// Takes the list of a collection: its works, sorted. Until then statements about the
    /// collection match nothing, as nobody can tell what they speak of.
    pub fn add_list(&mut self, root: FileHash, works: &[ContentId]) -> Result<(), ListError> {
        let subjects = &mut self.statements.subjects;
        let named = subjects.collections.get_mut(&root).ok_or(ListError::Unnamed(root))?;
        if named.is_listed {
            return Ok(());
        }
        if !works.is_sorted_by(|a, b| a < b) {
            return Err(ListError::Order);
        }
        let leaves = works.iter().map(ContentId::as_bytes);
        if protocol::merkle::root(leaves) != root {
            return Err(ListError::Root);
        }
        named.is_listed = true;
        let list = subjects.lists.len() as Slot;
        subjects.lists.push(root);
        for work in works {
            subjects.members.push(*work, list);
        }
        subjects.members.link();
        Ok(())
    }
}
