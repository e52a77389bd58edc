//! A scan: what the gate says of each item of a folder or a table, at millions of items.
//!
//! Role: three passes, with memory that does not grow with the items but for a bit each.
//!
//! ```text
//! read    source -> look at each item, on all cores -> spool      no lock; the next are read meanwhile
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

mod bits;
mod decide;
mod fix;
mod item;
mod judge;
mod read;
mod report;
mod site;
mod source;
mod spool;

use std::io;
use std::path::PathBuf;
use std::time::Instant;

use consent::{Policy, Use};
use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::api::ProgressSender;
use crate::api::dto::{ScanColumns, ScanReply};
use crate::files::Files;
use crate::ledger::LedgerBook;

use fix::Fix;

pub(crate) use report::ItemFormat;
pub(crate) use site::{Site, TOKEN, read_document};

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
    /// The node stops, or whoever asked is gone.
    #[error("the scan was stopped")]
    Stopped,
}

/// Scans. `stopped` is asked between batches.
pub(crate) fn scan(
    ledger: &LedgerBook,
    order: &ScanOrder,
    progress: &ProgressSender,
    stopped: impl Fn() -> bool + Sync,
) -> Result<ScanReply, ScanError> {
    let started = Instant::now();
    if let Some(target) = order.fix.as_ref().filter(|target| target.exists()) {
        return Err(ScanError::InTheWay(target.clone()));
    }
    let files =
        Files::under(&order.path).map_err(|error| ScanError::Read(order.path.clone(), error))?;
    let pool = ThreadPoolBuilder::new().num_threads(order.threads).build()?;
    let scan = Scan { ledger, order, progress, stopped: &stopped, pool, files };
    let (mut spool, stamps) = scan.read()?;
    let (mut reply, allowed) = scan.decide(&mut spool)?;
    drop(spool);
    if let Some(target) = &order.fix {
        let files = &scan.files.found;
        let (root, stamps, allowed) = (&*order.path, &*stamps, &allowed);
        let fix = Fix { root, files, stamps, allowed, target };
        fix.write(|done| {
            progress.send("writing", done, Some(allowed.len()), "items");
            scan.go_on()
        })?;
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
    stopped: &'a (dyn Fn() -> bool + Sync),
    pool: ThreadPool,
    files: Files,
}

impl Scan<'_> {
    fn go_on(&self) -> Result<(), ScanError> {
        // What is written is for whoever asked.
        if (self.stopped)() || self.progress.is_left() { Err(ScanError::Stopped) } else { Ok(()) }
    }
}
