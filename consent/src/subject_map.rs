//! What a log's verifiable map says: for each subject, which statements were made about it.
//!
//! ```text
//! key    SHA-256(0x00 || "accord/map/subject/v1\n" || the subject in the codec's form)
//! value  SHA-256(0x00 || "accord/map/records/v1\n" || the record ids, sorted, 32 bytes each)
//! ```
//!
//! An entry of the log counts if it opens as a record of kind `statement`; it counts once for each of
//! its subjects. Lifts and all other kinds change nothing: the map says what was said, not what still
//! holds.
//!
//! Invariants: a function of the log's entries alone, whatever their order; so whoever has the
//! entries can compute the root. What it is not: a match of similar works, or of a place within
//! another; one subject has one key.

use std::collections::BTreeMap;

use protocol::log::TreeHash;
use protocol::log::map::{Map, MapFullError, MapProof};
use protocol::{RecordId, Signed, codec};

use crate::payload::Payload;
use crate::record::{Record, record_id};
use crate::subject::Subject;

const KEY: &[u8] = b"accord/map/subject/v1\n";
const VALUE: &[u8] = b"accord/map/records/v1\n";

/// A subject's key.
pub fn subject_key(subject: &Subject) -> [u8; 32] {
    *TreeHash::of_entry(&[KEY, &codec::encode(subject)].concat()).as_bytes()
}

/// The value of a subject about which these records, sorted, were made.
pub fn records_value(records: &[RecordId]) -> [u8; 32] {
    let mut bytes = VALUE.to_vec();
    records.iter().for_each(|record| bytes.extend(record.as_bytes()));
    *TreeHash::of_entry(&bytes).as_bytes()
}

/// What one entry adds to the map: the statement's id, and its subjects' keys.
pub fn said_by(entry: &[u8]) -> Option<(RecordId, Vec<[u8; 32]>)> {
    let record = Signed::<Record>::open(entry).ok()?;
    match record.value().payload().ok()? {
        Payload::Statement(statement) => {
            Some((record_id(&record), statement.subjects.iter().map(subject_key).collect()))
        }
        _ => None,
    }
}

/// The map over a log's entries, in memory.
#[derive(Debug, Default)]
pub struct SubjectMap {
    map: Map,
    records: BTreeMap<[u8; 32], Vec<RecordId>>,
}

impl SubjectMap {
    /// Takes in what [`said_by`] says of the next entry.
    pub fn add(&mut self, record: RecordId, keys: &[[u8; 32]]) -> Result<(), MapFullError> {
        for key in keys {
            let records = self.records.entry(*key).or_default();
            if let Err(at) = records.binary_search(&record) {
                records.insert(at, record);
                self.map.insert(key, records_value(records))?;
            }
        }
        Ok(())
    }

    /// The map's root.
    pub fn root(&mut self) -> TreeHash {
        self.map.root()
    }

    /// The statements made about a subject, sorted, and the proof of it under the root as it is.
    pub fn prove(&mut self, subject: &Subject) -> (Vec<RecordId>, MapProof) {
        let key = subject_key(subject);
        (self.records.get(&key).cloned().unwrap_or_default(), self.map.prove(&key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::{Identity, head_at};
    use crate::statement::Statement;
    use crate::use_atom::Use;
    use protocol::{ContentId, SecretKey};

    #[test]
    fn the_map_says_who_spoke_of_what_in_any_order() {
        let key = |seed| SecretKey::from_seed(&[seed; 32]);
        let me = Identity::new(key(1), key(2), 0);
        let genesis = me.genesis(0).expect("genesis");
        let works: Vec<ContentId> = (0..5u8).map(|n| ContentId::of(&[n])).collect();
        let about = |works: &[ContentId]| {
            Statement::deny(&[Use::Mine]).over(works.iter().copied()).remove(0)
        };
        let statements = [about(&works[..2]), about(&works[1..4])];
        let mut records = me.statements(&head_at(&genesis), &statements).expect("statements");
        records.push(genesis);
        let build = |records: &mut dyn Iterator<Item = &Signed<Record>>| {
            let mut map = SubjectMap::default();
            for record in records {
                if let Some((id, keys)) = said_by(record.bytes()) {
                    map.add(id, &keys).expect("room");
                    map.add(id, &keys).expect("a second time changes nothing");
                }
            }
            map
        };
        let mut map = build(&mut records.iter());
        let root = map.root();
        assert_eq!(build(&mut records.iter().rev()).root(), root);
        for (at, work) in works.iter().enumerate() {
            let subject = Subject::Content(*work);
            let (said, proof) = map.prove(&subject);
            assert_eq!(said.len(), [1, 2, 1, 1, 0][at]);
            let value = proof.verify(&subject_key(&subject), &root).expect("a proof");
            assert_eq!(value, (!said.is_empty()).then(|| records_value(&said)));
        }
        assert_eq!(said_by(b"no record"), None);
    }
}
