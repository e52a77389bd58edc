//! A scan: what the gate says of each item of a folder or a table, at millions of items.
//!
//! Role: three passes, with memory that does not grow with the items but for a bit each.
//!
//! ```text
//! read    source -> look at each item, on all cores -> spool      no lock
//! weigh   spool  -> how far each claim of likeness reaches        a lock for each batch
//! decide  spool  -> report, counts, allowed bits                  a lock for each batch
//! write   source, bits -> the allowed subset                      no lock
//! ```
//!
//! A claim of likeness that would refuse more of the data set than the policy's reach is set aside
//! ([`consent::Reach`]), which is known only when all of it was read; hence the passes. If records
//! came while it was decided, the last two passes are made again, up to a few times.
//!
//! Invariants: every item is in the report with an answer; what cannot be read is not allowed; the
//! ledger is locked for a batch at a time, and its work in there asks for no lock. What it is not: a
//! permit. A trainer asks its own gate again.

mod fix;
mod item;
mod judge;
mod report;
mod site;
mod source;
mod spool;

use std::io;
use std::path::PathBuf;
use std::time::Instant;

use consent::{Gate, Policy, Reach, SetAside, Use};
use protocol::FileHash;
use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::api::ProgressSender;
use crate::api::dto::{ScanColumns, ScanItem, ScanReply};
use crate::clock::now_ms;
use crate::files::Files;
use crate::ledger::LedgerBook;
use crate::table::RowForms;

use fix::{Allowed, Fix, Stamp};
use item::{Item, Look, State};
use judge::Judge;
use report::{Lines, Tally};
use source::Source;
use spool::Spool;

pub(crate) use report::ItemFormat;
pub(crate) use site::Site;

/// How often the decisions are made again if records came meanwhile.
const TRIES: usize = 3;

/// What to scan, and how.
#[derive(Debug)]
pub(crate) struct ScanOrder {
    /// A file or a directory.
    pub path: PathBuf,
    /// The use asked about.
    pub about: Use,
    /// The policy.
    pub policy: Policy,
    /// Which columns of tables say what.
    pub columns: ScanColumns,
    /// What the site that the items are from says.
    pub site: Option<Site>,
    /// Where a line for each item goes.
    pub items: Option<(PathBuf, ItemFormat)>,
    /// Where the allowed subset goes.
    pub fix: Option<PathBuf>,
    /// Threads that look and decide.
    pub threads: usize,
}

/// Why there is no answer at all.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ScanError {
    /// What is to be scanned.
    #[error("cannot read {0}: {1}")]
    Read(PathBuf, io::Error),
    /// The threads.
    #[error("cannot start threads: {0}")]
    Threads(#[from] rayon::ThreadPoolBuildError),
    /// The file between the passes.
    #[error("cannot put items aside: {0}; is there room for temporary files?")]
    Spool(io::Error),
    /// A file that was asked for.
    #[error("cannot write {0}: {1}")]
    Write(PathBuf, io::Error),
    /// A file whose allowed part was asked for.
    #[error("cannot write the allowed part of {0}: {1}")]
    Fix(PathBuf, String),
    /// The target of the allowed subset is there.
    #[error("{0} exists already: choose another name for the allowed subset")]
    InTheWay(PathBuf),
    /// The node stops.
    #[error("the node is stopping")]
    Stopped,
}

/// Scans. `stopped` is asked between batches.
pub(crate) fn scan(
    ledger: &LedgerBook,
    order: &ScanOrder,
    progress: &ProgressSender,
    stopped: impl Fn() -> bool,
) -> Result<ScanReply, ScanError> {
    let started = Instant::now();
    if let Some(target) = order.fix.as_ref().filter(|target| target.exists()) {
        return Err(ScanError::InTheWay(target.clone()));
    }
    let files =
        Files::under(&order.path).map_err(|error| ScanError::Read(order.path.clone(), error))?;
    let pool = ThreadPoolBuilder::new().num_threads(order.threads).build()?;
    let scan = Scan { ledger, order, progress, stopped: &stopped, pool, files };
    let (mut spool, stamps, alike) = scan.read()?;
    let (mut reply, allowed) = scan.decide(&mut spool, alike)?;
    if let Some(target) = &order.fix {
        let files = &scan.files.found;
        progress.send("writing", 0, None, "files");
        let (root, stamps, allowed) = (&*order.path, &*stamps, &allowed);
        Fix { root, files, stamps, allowed, target }.write(&mut spool)?;
        reply.fixed = target.exists().then(|| target.display().to_string());
    }
    reply.dotted = scan.files.dotted;
    reply.elapsed_ms = started.elapsed().as_millis() as u64;
    Ok(reply)
}

/// A scan under way.
struct Scan<'a> {
    ledger: &'a LedgerBook,
    order: &'a ScanOrder,
    progress: &'a ProgressSender,
    stopped: &'a dyn Fn() -> bool,
    pool: ThreadPool,
    files: Files,
}

impl Scan<'_> {
    /// The first pass. Returns the items, the files as they were, and whether any item has a
    /// likeness.
    fn read(&self) -> Result<(Spool, Vec<Stamp>, bool), ScanError> {
        let files = &self.files.found;
        let mut stamps: Vec<Stamp> = files.iter().map(|path| Stamp::of(path)).collect();
        let total: u64 = stamps.iter().map(Stamp::length).sum();
        let (mut spool, mut alike) = (Spool::new().map_err(ScanError::Spool)?, false);
        let look = Look { order: self.order, files };
        let mut source = Source::new(files, &self.order.columns);
        // Bytes of the files that are done.
        let (mut done, mut counted) = (0, 0);
        loop {
            let batch = source.batch();
            if batch.is_empty() {
                break;
            }
            self.go_on()?;
            batch.iter().for_each(|raw| stamps[raw.file()].items += 1);
            let items: Vec<(Vec<u8>, bool)> = self.pool.install(|| {
                let looked = batch.into_par_iter().map_init(RowForms::default, |forms, raw| {
                    let item = look.at(raw, forms);
                    (spool::encode(&item), is_alike(&item))
                });
                looked.collect()
            });
            alike |= items.iter().any(|(_, alike)| *alike);
            let items: Vec<Vec<u8>> = items.into_iter().map(|(item, _)| item).collect();
            spool.add(&items).map_err(ScanError::Spool)?;
            let (file, within) = source.position();
            done += stamps[counted..file].iter().map(Stamp::length).sum::<u64>();
            counted = file;
            self.progress.send("reading", (done + within).min(total), Some(total), "bytes");
        }
        let faults = self.files.faults.iter().map(|fault| {
            let state = State::Unreadable("cannot be read".to_owned());
            spool::encode(&Item { place: fault.clone(), licence: None, state })
        });
        spool.add(&faults.collect::<Vec<_>>()).map_err(ScanError::Spool)?;
        Ok((spool, stamps, alike))
    }

    /// The second and third pass, until no record comes in between.
    fn decide(&self, spool: &mut Spool, alike: bool) -> Result<(ScanReply, Allowed), ScanError> {
        let mut tries = 0;
        loop {
            tries += 1;
            let before = self.state();
            let aside = if alike { self.weigh(spool)? } else { SetAside::default() };
            let (mut reply, allowed) = self.judge(spool, &aside)?;
            reply.moved = before != self.state();
            if reply.moved && tries < TRIES {
                continue;
            }
            let (frontier, missing) = before;
            (reply.frontier, reply.lists_missing) = (Some(frontier), missing);
            reply.set_aside = aside.records().copied().collect();
            return Ok((reply, allowed));
        }
    }

    /// What the ledger has: its frontier, and of how many collections it lacks the list.
    fn state(&self) -> (FileHash, u64) {
        self.ledger.with_ledger(|ledger| {
            (ledger.frontier_id(), ledger.collections_missing().count() as u64)
        })
    }

    /// Counts how far each claim of likeness reaches.
    fn weigh(&self, spool: &mut Spool) -> Result<SetAside, ScanError> {
        let (mut reach, total) = (Reach::default(), spool.len());
        let (mut reading, mut done) = (spool.read().map_err(ScanError::Spool)?, 0);
        loop {
            let items = self.pool.install(|| reading.batch()).map_err(ScanError::Spool)?;
            if items.is_empty() {
                return Ok(reach.beyond(&self.order.policy.likeness));
            }
            self.go_on()?;
            done += items.len() as u64;
            for part in self.asked(&items, |gate, items| {
                let mut reach = Reach::default();
                for item in items {
                    let State::Read(works, _) = &item.state else { continue };
                    let alike = works.iter().filter(|known| known.is_alike());
                    let works: Vec<_> = alike.map(item::Known::work).collect();
                    gate.count_reach(&works, self.order.about, &mut reach);
                }
                reach
            }) {
                reach.merge(part);
            }
            self.progress.send("comparing", done, Some(total), "items");
        }
    }

    /// Decides on every item.
    fn judge(
        &self,
        spool: &mut Spool,
        aside: &SetAside,
    ) -> Result<(ScanReply, Allowed), ScanError> {
        let open = |(path, format): &(PathBuf, ItemFormat)| {
            Lines::create(path, *format).map_err(|error| ScanError::Write(path.clone(), error))
        };
        let mut lines = self.order.items.as_ref().map(open).transpose()?;
        let format = lines.as_ref().map(Lines::format);
        let (mut tally, mut allowed) = (Tally::default(), Allowed::default());
        let total = spool.len();
        let (mut reading, mut done) = (spool.read().map_err(ScanError::Spool)?, 0);
        let failed = |error| match &self.order.items {
            Some((path, _)) => ScanError::Write(path.clone(), error),
            None => ScanError::Spool(error),
        };
        loop {
            let items = self.pool.install(|| reading.batch()).map_err(ScanError::Spool)?;
            if items.is_empty() {
                break;
            }
            self.go_on()?;
            done += items.len() as u64;
            let told = self.asked(&items, |gate, items| {
                let (about, default) = (self.order.about, self.order.policy.default);
                let judge = Judge { gate, about, default, aside };
                let told = items.iter().map(|item| judge.about(item));
                let line = |item: &ScanItem| format.map(|format| Lines::line(item, format));
                told.map(|item| (line(&item), item)).collect::<Vec<_>>()
            });
            for (line, item) in told.into_iter().flatten() {
                if let (Some(lines), Some(line)) = (&mut lines, line) {
                    lines.add(&[line]).map_err(failed)?;
                }
                allowed.push(tally.add(item));
            }
            self.progress.send("deciding", done, Some(total), "items");
        }
        if let Some(lines) = lines {
            lines.finish().map_err(failed)?;
        }
        Ok((tally.reply(), allowed))
    }

    /// Asks gates about items, one gate and one part of the items for each thread, while no record
    /// comes into the ledger.
    fn asked<T: Send>(
        &self,
        items: &[Item],
        ask: impl Fn(&Gate<'_>, &[Item]) -> T + Sync,
    ) -> Vec<T> {
        let policy = &self.order.policy;
        let part = items.len().div_ceil(self.pool.current_num_threads()).max(1);
        self.ledger.with_ledger(|ledger| {
            let now_ms = now_ms();
            self.pool.install(|| {
                let parts = items.par_chunks(part);
                parts.map(|items| ask(&Gate::new(ledger, policy, now_ms), items)).collect()
            })
        })
    }

    fn go_on(&self) -> Result<(), ScanError> {
        if (self.stopped)() { Err(ScanError::Stopped) } else { Ok(()) }
    }
}

fn is_alike(item: &Item) -> bool {
    matches!(&item.state, State::Read(works, _) if works.iter().any(item::Known::is_alike))
}
