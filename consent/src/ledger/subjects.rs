//! Which statements speak of a work: by its bytes, its collection, its likeness, its maker.
//!
//! Invariants: finds a superset of what counts; what a statement found says, and whether it counts,
//! is for others. A feed's subjects by likeness count up to a bound, by their place in the feed, so
//! that every ledger leaves out the same. What it is not: dependent on the order of arrival.

use std::collections::BTreeMap;

use protocol::limits::SIMILAR_PER_FEED_MAX;
use protocol::{ContentId, PublicKey};

use super::Ledger;
use super::collections::Collections;
use super::exact::{ExactIndex, TOGETHER_MAX};
use super::table::{Slot, TableSeed};
use crate::code::CodeKind;
use crate::fingerprint::PassageIndex;
use crate::hamming::{HammingIndex, Scratch};
use crate::policy::Likeness;
use crate::subject::Subject;
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
    pub(super) collections: Collections,
}

impl Subjects {
    pub(crate) fn new(seed: TableSeed) -> Self {
        let (content, collections) = (ExactIndex::new(seed), Collections::new(seed));
        Self { content, collections, ..Self::default() }
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
                Subject::Collection(collection) => self.collections.name(*collection, slot),
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
        for slot in self.collections.of(&work.content) {
            visit(slot, Match::Collection);
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
                self.collections.naming(&collection.root).iter().copied().for_each(visit);
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
    /// The statements about places that have something in common with this one, on its host.
    pub fn about_place(&self, place: &Place) -> Vec<Slot> {
        let mut found = Vec::new();
        let mut rest = Some(place.host());
        while let Some(host) = rest {
            let of_host = self.statements.subjects.places.get(host).map_or(&[][..], Vec::as_slice);
            let meets = |other: &Place| other.contains(place) || place.contains(other);
            found.extend(of_host.iter().filter(|(other, _)| meets(other)).map(|(_, slot)| *slot));
            rest = host.split_once('.').map(|(_, above)| above);
        }
        found.sort_unstable();
        found.dedup();
        found
    }

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
}
