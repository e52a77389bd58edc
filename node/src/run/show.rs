//! What a trainer that shows its work keeps of a round: the rows that it used and what it came through.
//!
//! ```text
//! DIR/traces/RUN.ROUND/   rows.csv | residual | 0 | 1 | ...   the states after each segment
//! ```
//!
//! Invariants: everything is named by hash in a [`Trace`] that the commit names; only what an auditor drew
//! is shared, once the round is certified, and the rest goes. What it is not: needed. A trace that cannot
//! be written is left out, and the update counts without.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use consent::{Policy, commit_data};
use protocol::limits::HELD_OUT_BYTES_MAX;
use protocol::round::{DataCommit, Trace};
use protocol::{ContentId, FileHash, RunId};
use trainer::data::{Table, works, write_rows};
use trainer::{Session, TrainError};

use super::desk::{Desk, DeskError};

/// Segments that a round's training is cut into.
const SEGMENTS: u64 = 8;
/// The name of the rows.
const ROWS: &str = "rows.csv";
/// The name of what earlier updates had left unsaid.
const RESIDUAL: &str = "residual";
/// The name of the trace itself.
const TRACE: &str = "trace";

/// Why there is no trace of a round.
#[derive(Debug, thiserror::Error)]
pub(super) enum ShowError {
    /// It could not be written.
    #[error("cannot write the trace of a round: {0}")]
    Io(#[from] io::Error),
    /// The rows cannot be written.
    #[error(transparent)]
    Table(#[from] trainer::TableError),
    /// The table is not what was read when this node joined.
    #[error("the table has changed since this node joined; join again to show it")]
    Changed,
    /// The table is too long to be shared.
    #[error("the rows have {0} bytes: at most {HELD_OUT_BYTES_MAX} are shared")]
    TooLong(u64),
    /// The state cannot be had.
    #[error(transparent)]
    Train(#[from] TrainError),
}

/// One round's trace on disk.
#[derive(Debug)]
pub(super) struct TraceDir(PathBuf);

/// A trace that is being written.
#[derive(Debug)]
pub(super) struct Tracing {
    dir: TraceDir,
    trace: Trace,
}

impl TraceDir {
    pub(super) fn new(dir: &Path, run: RunId, round: u64) -> Self {
        Self(dir.join(format!("{run}.{round}")))
    }

    /// Begins a trace of training on those rows of the table at `source` whose works are `used`.
    pub(super) fn begin(
        self,
        source: &Path,
        table: &Table,
        used: &[ContentId],
        data: &DataCommit,
        policy: &Policy,
    ) -> Result<Tracing, ShowError> {
        self.remove()?;
        fs::create_dir_all(&self.0)?;
        let path = self.0.join(ROWS);
        let rows = table.works().enumerate().filter(|(_, work)| used.binary_search(work).is_ok());
        let rows: Vec<usize> = rows.map(|(row, _)| row).collect();
        write_rows(source, &rows, &path)?;
        let bytes = fs::metadata(&path)?.len();
        if bytes > HELD_OUT_BYTES_MAX {
            return Err(ShowError::TooLong(bytes));
        }
        if used_root(&works(&path)?, policy) != data.used_root {
            return Err(ShowError::Changed);
        }
        let mut hasher = blake3::Hasher::new();
        hasher.update_reader(fs::File::open(&path)?)?;
        let rows = FileHash::from_bytes(*hasher.finalize().as_bytes());
        let trace = Trace { rows, residual: None, segment_steps: 0, states: Vec::new() };
        Ok(Tracing { dir: self, trace })
    }

    fn keep(&self, name: &str, bytes: &[u8]) -> io::Result<FileHash> {
        fs::write(self.0.join(name), bytes)?;
        Ok(FileHash::of(bytes))
    }

    fn remove(&self) -> io::Result<()> {
        match fs::remove_dir_all(&self.0) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Shares what shows one segment, if there is a trace of this round.
    pub(super) async fn share(
        &self,
        desk: &Desk,
        segment: impl Fn(u32) -> Option<u32>,
    ) -> Result<(), DeskError> {
        let Ok(bytes) = fs::read(self.0.join(TRACE)) else { return Ok(()) };
        let trace = Trace::from_bytes(&bytes).map_err(|e| super::desk::bad("a trace", e))?;
        let Some(segment) = segment(trace.segments()) else { return Ok(()) };
        let last = trace.segments() - 1;
        let states = [segment.checked_sub(1), Some(segment), Some(last)];
        let states = states.into_iter().flatten().map(|at| at.to_string());
        let names = [TRACE, ROWS].map(str::to_owned).into_iter().chain(states);
        let residual = trace.residual.map(|_| RESIDUAL.to_owned());
        for name in names.chain(residual) {
            desk.means.net.blobs().add_path(&self.0.join(name)).await?;
        }
        Ok(())
    }
}

impl Tracing {
    /// Trains to the end, keeping the state after each segment.
    pub(super) fn follow(
        &mut self,
        session: &mut Session,
        mut advance: impl FnMut(&mut Session, u64) -> Result<(), TrainError>,
    ) -> Result<(), ShowError> {
        let steps = session.steps();
        let segment = steps.div_ceil(SEGMENTS).max(1);
        self.trace.segment_steps = u32::try_from(segment).unwrap_or(u32::MAX);
        for at in 0..steps.div_ceil(segment) {
            advance(session, (segment * (at + 1)).min(steps))?;
            let state = session.state()?.to_bytes();
            let hash = self.dir.keep(&at.to_string(), &state)?;
            self.trace.states.push(hash);
        }
        Ok(())
    }

    /// Keeps what earlier updates had left unsaid.
    pub(super) fn residual(&mut self, bytes: &[u8]) -> io::Result<()> {
        if bytes.iter().any(|byte| *byte != 0) {
            self.trace.residual = Some(self.dir.keep(RESIDUAL, bytes)?);
        }
        Ok(())
    }

    /// Ends the trace; its bytes are what the commit names.
    pub(super) fn finish(self) -> io::Result<Vec<u8>> {
        let bytes = self.trace.to_bytes();
        self.dir.keep(TRACE, &bytes)?;
        Ok(bytes)
    }
}

/// Removes traces of the run that nobody asks for any more, now that `round` is certified.
pub(super) fn forget(dir: &Path, run: RunId, round: u64) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    let prefix = format!("{run}.");
    for entry in entries.flatten() {
        let name = entry.file_name();
        let of = name.to_str().and_then(|name| name.strip_prefix(&prefix)?.parse::<u64>().ok());
        // What of it was drawn is shared by now; an update that comes late nobody draws.
        if of.is_some_and(|of| of <= round) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// The root that a commit gives of these works as used.
pub(super) fn used_root(works: &[ContentId], policy: &Policy) -> FileHash {
    commit_data(works, &[], FileHash::of(b""), policy).used_root
}
