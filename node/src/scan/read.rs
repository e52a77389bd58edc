//! The first pass: what is known of each item, put aside.
//!
//! Invariants: items keep their order; one batch is looked at, on all cores, while the next one is
//! read, so memory holds three at most. What it is not: a question to the ledger.

use std::sync::mpsc::sync_channel;

use protocol::ContentId;
use rayon::prelude::*;

use super::fix::Stamp;
use super::item::{Item, Look, Place, State};
use super::source::{RawItem, Read, Source};
use super::spool::{self, Spool};
use super::{Scan, ScanError};
use crate::table::RowForms;

/// Items that a thread looks at before it takes others: few, since a file may take long.
const TOGETHER: usize = 64;

/// What is known of some items.
#[derive(Default)]
struct Seen {
    /// As they are put aside.
    bytes: Vec<u8>,
    /// The ids of those that are files.
    files: Vec<(usize, ContentId)>,
}

impl Scan<'_> {
    /// Looks at all items. Returns them with the files as they were.
    pub(super) fn read(&self) -> Result<(Spool, Vec<Stamp>), ScanError> {
        let files = &self.files.found;
        let mut stamps: Vec<Stamp> = files.iter().map(|path| Stamp::of(path)).collect();
        let total: u64 = stamps.iter().map(Stamp::length).sum();
        let mut spool = Spool::new().map_err(ScanError::Spool)?;
        let look = Look { order: self.order, files };
        let (sender, batches) = sync_channel(1);
        std::thread::scope(|scope| -> Result<(), ScanError> {
            scope.spawn(move || {
                let mut source = Source::new(files, &self.order.columns);
                loop {
                    let batch = source.batch();
                    // Nobody takes it if the scan has ended meanwhile.
                    if batch.is_empty() || sender.send((batch, source.position())).is_err() {
                        return;
                    }
                }
            });
            // Bytes of the files that are done.
            let (mut done, mut counted) = (0, 0);
            for (batch, (file, within)) in batches {
                self.go_on()?;
                batch.iter().for_each(|raw| stamps[raw.file()].items += 1);
                for seen in self.pool.install(|| look.all(&batch)) {
                    spool.add(&seen.bytes, 0).map_err(ScanError::Spool)?;
                    for (file, content) in seen.files {
                        stamps[file].content = Some(content);
                    }
                }
                spool.add(&[], batch.len() as u64).map_err(ScanError::Spool)?;
                done += stamps[counted..file].iter().map(Stamp::length).sum::<u64>();
                counted = file;
                let within = match within {
                    Read::Bytes(bytes) => bytes,
                    Read::Part(part) => (part * stamps[file].length() as f64) as u64,
                };
                self.progress.send("reading", (done + within).min(total), Some(total), "bytes");
            }
            Ok(())
        })?;
        for fault in &self.files.faults {
            let state = State::Unreadable("cannot be read".to_owned());
            let mut bytes = Vec::new();
            let place = Place::Said(fault.clone());
            spool::encode(&Item { place, licence: None, state }, &mut bytes);
            spool.add(&bytes, 1).map_err(ScanError::Spool)?;
        }
        Ok((spool, stamps))
    }
}

impl Look<'_> {
    /// Looks at items on all threads.
    fn all(&self, batch: &[RawItem]) -> Vec<Seen> {
        let parts = batch.par_chunks(TOGETHER);
        let looked = parts.map_init(RowForms::default, |forms, raws| {
            let mut seen = Seen::default();
            for raw in raws {
                let item = self.at(raw, forms);
                if let (RawItem::File(file), State::Read(works, _)) = (raw, &item.state) {
                    seen.files.extend(works.first().map(|work| (*file, work.content)));
                }
                spool::encode(&item, &mut seen.bytes);
            }
            seen
        });
        looked.collect()
    }
}
