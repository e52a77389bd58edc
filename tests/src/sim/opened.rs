//! What honest nodes make of bytes from liars: each message is opened once, for all who get it.
//!
//! Invariants: whether bytes open depends on them and on the run alone, so all come to the same.
//! What it is not: for honest nodes' messages, which the checker opens when they are sent.

use std::collections::BTreeMap;
use std::sync::Arc;

use protocol::FileHash;
use protocol::round::{Certificate, RunMessage, Wire};

use super::facts::Facts;

/// Everything that was opened, or did not open.
#[derive(Debug, Default)]
pub(super) struct Opened {
    messages: BTreeMap<FileHash, Option<Arc<RunMessage>>>,
    certificates: BTreeMap<FileHash, Option<Arc<Certificate>>>,
}

impl Opened {
    /// The message in these bytes, if it verifies.
    pub(super) fn message(&mut self, facts: &Facts, bytes: &[u8]) -> Option<Arc<RunMessage>> {
        let open = || {
            let wire = Wire::from_bytes(bytes).ok().filter(|wire| wire.run == facts.run)?;
            wire.open().ok().map(Arc::new)
        };
        self.messages.entry(FileHash::of(bytes)).or_insert_with(open).clone()
    }

    /// The certificate in these bytes, if it verifies.
    pub(super) fn certificate(&mut self, facts: &Facts, bytes: &[u8]) -> Option<Arc<Certificate>> {
        let open = || Certificate::open(bytes, facts.run).ok().map(Arc::new);
        self.certificates.entry(FileHash::of(bytes)).or_insert_with(open).clone()
    }
}
