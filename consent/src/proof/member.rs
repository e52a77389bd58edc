//! "This work is in the collection of my record": the record, and the work's place in the list whose
//! root the record names.
//!
//! Invariants: the record's signature holds; the work is a leaf of the tree whose root and length the
//! record names. What it is not: proof that the record counts, or is in a log (see `record`).

use protocol::{ContentId, FileHash, OpenError, Signed, merkle};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use super::buf;
use crate::payload::Payload;
use crate::record::Record;
use crate::subject::{Collection, Subject};

/// A work's place in a collection that a record names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberProof {
    record: ByteBuf,
    /// As the record names it.
    collection: ByteBuf,
    content: ContentId,
    /// The place in the collection's list, from 0.
    index: u64,
    /// From the leaf's side to the root's.
    path: Vec<FileHash>,
}

/// What it shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberShown {
    /// The record.
    pub record: Signed<Record>,
    /// The work.
    pub content: ContentId,
}

/// Why it shows nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MemberError {
    /// Not a record.
    #[error("the record: {0}")]
    Record(#[from] OpenError),
    /// Not a statement about it.
    #[error("the record names no such collection")]
    Unnamed,
    /// Not one of its works.
    #[error("the work is not in the collection")]
    Outside,
}

impl MemberProof {
    /// The proof that `content` is in a collection that the record in this envelope names, whose list
    /// is `works`; none if it is not in the list.
    pub fn prove(
        record: &[u8],
        collection: &Collection,
        works: &[[u8; 32]],
        content: ContentId,
    ) -> Option<Self> {
        let index = works.binary_search(content.as_bytes()).ok()?;
        let path = merkle::path(works, index)?;
        let (record, collection) = (buf(record), buf(&collection.to_bytes()));
        Some(Self { record, collection, content, index: index as u64, path })
    }

    pub(super) fn verify(&self) -> Result<MemberShown, MemberError> {
        let record = Signed::<Record>::open(&self.record)?;
        let collection = Collection::read(&self.collection).ok_or(MemberError::Unnamed)?;
        let named = match record.value().payload() {
            Ok(Payload::Statement(statement)) => {
                statement.subjects.contains(&Subject::Collection(collection))
            }
            _ => false,
        };
        if !named {
            return Err(MemberError::Unnamed);
        }
        let leaf = self.content.as_bytes();
        let root = merkle::root_of_path(leaf, self.index, collection.count, &self.path);
        if root != Some(collection.root) {
            return Err(MemberError::Outside);
        }
        Ok(MemberShown { record, content: self.content })
    }
}
