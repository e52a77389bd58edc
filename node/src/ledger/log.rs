//! The ledger's log on disk: every record's envelope in the order of admission, and beside it what
//! the ledger keeps of each, so that ten million records are there again in seconds.
//!
//! ```text
//! records   frames of received_ms 8 (little endian), envelope
//! digests   frames of the record frame's length 4, digest (see consent::ledger::digest)
//! ```
//!
//! Invariants: an envelope is durable when `append` returns; the digests may lag behind or be lost,
//! and are made again from the envelopes. What it is not: able to forget; what may be erased stands in `remarks`.

use std::io;
use std::path::{Path, PathBuf};

use consent::{Admitted, Ledger, Record, Replay};
use protocol::limits::RECORD_BYTES_MAX;
use protocol::{OpenError, Signed};
use rayon::prelude::*;

use super::batch::Batch;
use super::frames::{FRAME_BYTES, FramePlace, FrameReader, Frames};
use crate::durable::FileError;

const RECORD_FRAME_BYTES_MAX: usize = RECORD_BYTES_MAX + 8;
/// A digest is shorter than its record, but for a few lengths and numbers.
const DIGEST_FRAME_BYTES_MAX: usize = RECORD_BYTES_MAX + 1_024;

/// Why the log cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LogError {
    /// A file of it.
    #[error("cannot {doing} the ledger's log {path}: {source}")]
    Io {
        /// What was tried.
        doing: &'static str,
        /// Which file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A remark beside a record.
    #[error("the remarks beside the ledger's records: {0}")]
    Remark(#[from] FileError),
    /// What stands in it is not what was written.
    #[error("record {0} of the ledger's log is damaged: {1}")]
    Damaged(usize, OpenError),
}

/// The two files.
#[derive(Debug)]
pub(crate) struct RecordLog {
    dir: PathBuf,
    records: Frames,
    digests: Frames,
    /// Where each record's frame stands.
    places: Vec<u64>,
}

impl RecordLog {
    /// Opens the log in `dir`, made if it is not there; returns also the ledger that it makes of
    /// an `empty` one.
    pub(crate) fn open(dir: &Path, empty: impl Fn() -> Ledger) -> Result<(Self, Ledger), LogError> {
        let io = |doing, path: &Path| {
            let path = path.to_owned();
            move |source| LogError::Io { doing, path, source }
        };
        std::fs::create_dir_all(dir).map_err(io("make", dir))?;
        let (records_path, digests_path) = (dir.join("records"), dir.join("digests"));
        let records_end = match std::fs::metadata(&records_path) {
            Ok(file) => file.len(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            Err(error) => return Err(io("read", &records_path)(error)),
        };
        let replayed = replay(&digests_path, records_end, empty()).and_then(|replayed| {
            let Some(replayed) = replayed else {
                // Digests of which one is there twice: all are made again.
                std::fs::write(&digests_path, [])?;
                return Ok(replay(&digests_path, records_end, empty())?.expect("no digests"));
            };
            Ok(replayed)
        });
        let Replayed { ledger, digests, places, end } =
            replayed.map_err(io("read", &digests_path))?;
        let mut lagging = Lagging { ledger, digests: Vec::new(), places, failed: None };
        let records = Frames::open(&records_path, end, RECORD_FRAME_BYTES_MAX, |batch| {
            lagging.take(batch);
            batch.len()
        })
        .map_err(io("read", &records_path))?;
        let Lagging { ledger, digests: made, places, failed } = lagging;
        if let Some(error) = failed {
            return Err(LogError::Damaged(places.len(), error));
        }
        let mut log = Self { dir: dir.to_owned(), records, digests, places };
        log.append_digests(&made)?;
        Ok((log, ledger))
    }

    /// Appends a record before the ledger has it.
    pub(crate) fn append_ahead(
        &mut self,
        record: &Signed<Record>,
        received_ms: u64,
    ) -> Result<(), LogError> {
        self.append_records(std::iter::once((record.bytes(), received_ms)))
    }

    /// Appends the digest of a record that [`RecordLog::append_ahead`] has.
    pub(crate) fn append_digest(
        &mut self,
        ledger: &Ledger,
        admitted: &Admitted,
    ) -> Result<(), LogError> {
        self.append_digests(&[digest_frame(ledger, admitted)])
    }

    /// Appends records that the ledger has admitted, in that order.
    pub(crate) fn append(
        &mut self,
        ledger: &Ledger,
        admitted: &[Admitted],
    ) -> Result<(), LogError> {
        let records = admitted.iter().map(|it| (it.record.bytes(), it.received_ms));
        self.append_records(records)?;
        let digests: Vec<Vec<u8>> = admitted.iter().map(|it| digest_frame(ledger, it)).collect();
        self.append_digests(&digests)
    }

    /// Where the record stands that the ledger admitted as number `slot`.
    pub(crate) fn place(&self, slot: u32) -> FramePlace {
        let slot = slot as usize;
        let (at, end) = (self.places[slot], self.places.get(slot + 1));
        let end = end.copied().unwrap_or_else(|| self.records.end());
        FramePlace { at, bytes: (end - at - FRAME_BYTES) as usize }
    }

    /// What reads envelopes while others are appended.
    pub(crate) fn reader(&self) -> EnvelopeReader {
        EnvelopeReader { frames: self.records.reader(), path: self.dir.join("records") }
    }

    /// The envelope of the record that the ledger admitted as number `slot`.
    pub(crate) fn envelope(&self, slot: u32) -> Result<Vec<u8>, LogError> {
        let mut envelopes = self.reader().envelopes(&[self.place(slot)])?;
        Ok(envelopes.pop().unwrap_or_default())
    }

    fn append_records<'a>(
        &mut self,
        records: impl Iterator<Item = (&'a [u8], u64)>,
    ) -> Result<(), LogError> {
        let mut at = self.records.end();
        let mut frames = Vec::new();
        let mut places = Vec::new();
        for (bytes, received_ms) in records {
            let frame = [&received_ms.to_le_bytes(), bytes].concat();
            places.push(at);
            at += frame.len() as u64 + FRAME_BYTES;
            frames.push(frame);
        }
        self.records
            .append(frames.iter().map(Vec::as_slice), true)
            .map_err(|source| self.failed("write", "records", source))?;
        self.places.extend(places);
        Ok(())
    }

    fn append_digests(&mut self, digests: &[Vec<u8>]) -> Result<(), LogError> {
        self.digests
            .append(digests.iter().map(Vec::as_slice), false)
            .map_err(|source| self.failed("write", "digests", source))
    }

    fn failed(&self, doing: &'static str, name: &str, source: io::Error) -> LogError {
        LogError::Io { doing, path: self.dir.join(name), source }
    }
}

/// Reads envelopes.
#[derive(Debug)]
pub(crate) struct EnvelopeReader {
    frames: FrameReader,
    path: PathBuf,
}

impl EnvelopeReader {
    /// The envelopes at these places.
    pub(crate) fn envelopes(&self, places: &[FramePlace]) -> Result<Vec<Vec<u8>>, LogError> {
        let mut envelopes = Vec::with_capacity(places.len());
        let each = |frame: &[u8]| envelopes.push(frame.get(8..).unwrap_or_default().to_vec());
        self.frames.read(places, each).map_err(|source| {
            let path = self.path.clone();
            LogError::Io { doing: "read", path, source }
        })?;
        Ok(envelopes)
    }
}

/// What the digests make.
struct Replayed {
    ledger: Ledger,
    digests: Frames,
    /// Where each of these records stands.
    places: Vec<u64>,
    /// Where the records go on that have no digest.
    end: u64,
}

/// Fills the ledger from the digests. Those that are ahead of the records, or of others, are cut off to
/// be made again. None if one is there twice.
fn replay(path: &Path, records_end: u64, empty: Ledger) -> io::Result<Option<Replayed>> {
    let (mut places, mut at) = (Vec::new(), 0);
    let mut replay = Replay::new(empty);
    let digests = Frames::open(path, 0, DIGEST_FRAME_BYTES_MAX, |batch| {
        for (taken, (_, frame)) in batch.frames().enumerate() {
            let Some((length, digest)) = frame.split_first_chunk::<4>() else { return taken };
            let end = at + u64::from(u32::from_le_bytes(*length)) + FRAME_BYTES;
            if end > records_end || replay.take(digest).is_err() {
                return taken;
            }
            places.push(at);
            at = end;
        }
        batch.len()
    })?;
    let ledger = replay.finish().ok();
    Ok(ledger.map(|ledger| Replayed { ledger, digests, places, end: at }))
}

/// The records whose digests are not there: opened again, on all cores, and inserted.
struct Lagging {
    ledger: Ledger,
    digests: Vec<Vec<u8>>,
    places: Vec<u64>,
    /// The first that is none. What follows is not looked at, and stays as it is.
    failed: Option<OpenError>,
}

impl Lagging {
    fn take(&mut self, batch: &Batch) {
        if self.failed.is_some() {
            return;
        }
        let frames: Vec<(u64, &[u8])> = batch.frames().collect();
        let opened: Vec<_> = frames.par_iter().map(|(_, frame)| opened(frame)).collect();
        for (opened, (at, _)) in opened.into_iter().zip(&frames) {
            match opened.and_then(|admitted| insert(&mut self.ledger, &admitted)) {
                Ok(digest) => self.digests.push(digest),
                Err(error) => {
                    self.failed = Some(error);
                    return;
                }
            }
            self.places.push(*at);
        }
    }
}

/// Opens the envelope in a frame of the log again.
fn opened(frame: &[u8]) -> Result<Admitted, OpenError> {
    let without_time = || OpenError::Rule("a frame without a time".to_owned());
    let (received_ms, bytes) = frame.split_first_chunk::<8>().ok_or_else(without_time)?;
    let received_ms = u64::from_le_bytes(*received_ms);
    Ok(Admitted { record: Signed::<Record>::open(bytes)?, received_ms })
}

/// Inserts a record of the log; returns its digest's frame.
fn insert(ledger: &mut Ledger, admitted: &Admitted) -> Result<Vec<u8>, OpenError> {
    match ledger.insert(admitted.record.clone(), admitted.received_ms) {
        Ok(consent::Inserted::New(_)) => Ok(digest_frame(ledger, admitted)),
        Ok(_) => Err(OpenError::Rule("it is there twice, or out of order".to_owned())),
        Err(error) => Err(OpenError::Rule(error.to_string())),
    }
}

fn digest_frame(ledger: &Ledger, admitted: &Admitted) -> Vec<u8> {
    let length = (admitted.record.bytes().len() + 8) as u32;
    [length.to_le_bytes().as_slice(), &ledger.digest(admitted)].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use consent::{Gate, Identity, Policy, SetAside, Silence, Statement, Use, head_at};
    use protocol::{ContentId, SecretKey};

    fn records(count: u32) -> Vec<Admitted> {
        let key = |seed| SecretKey::from_seed(&[seed; 32]);
        let me = Identity::new(key(1), key(2), 0);
        let genesis = me.genesis(0).expect("genesis");
        let work = |n: u32| ContentId::of(&n.to_le_bytes());
        let statements: Vec<Statement> =
            (0..count).flat_map(|n| Statement::deny(&[Use::TrainOther]).over([work(n)])).collect();
        let mut records = me.statements(&head_at(&genesis), &statements).expect("statements");
        records.insert(0, genesis);
        records.into_iter().map(|record| Admitted { record, received_ms: 7 }).collect()
    }

    fn denied(ledger: &Ledger, count: u32) -> usize {
        let policy = Policy { default: Silence::OptOut, ..Policy::default() };
        let gate = Gate::new(ledger, &policy, 100);
        let check = |n: u32| {
            let work = ContentId::of(&n.to_le_bytes()).into();
            gate.check(&work, Use::TrainOther, &SetAside::default())
        };
        (0..count).filter(|n| check(*n).is_err()).count()
    }

    fn opened(dir: &Path) -> (Ledger, RecordLog) {
        let (log, ledger) = RecordLog::open(dir, Ledger::new).expect("opened");
        (ledger, log)
    }

    #[test]
    fn the_ledger_is_there_again_with_or_without_its_digests() {
        let dir = tempfile::tempdir().expect("a directory");
        let records = records(20);
        let (mut ledger, mut log) = opened(dir.path());
        for part in records.chunks(8) {
            for admitted in part {
                ledger.insert(admitted.record.clone(), 7).expect("new");
            }
            log.append(&ledger, part).expect("written");
        }
        let frontier = ledger.frontier_id();
        drop((ledger, log));
        let digests = dir.path().join("digests");
        let whole = std::fs::read(&digests).expect("read");
        for (name, length) in [("all", whole.len()), ("torn", whole.len() / 2), ("none", 0)] {
            std::fs::write(&digests, &whole[..length]).expect("written");
            let (ledger, log) = opened(dir.path());
            assert_eq!(ledger.frontier_id(), frontier, "{name}");
            assert_eq!(denied(&ledger, 30), 20, "{name}");
            for (slot, admitted) in records.iter().enumerate() {
                let envelope = log.envelope(slot as u32).expect("there");
                assert_eq!(envelope, admitted.record.bytes());
            }
            drop(log);
            assert_eq!(std::fs::read(&digests).expect("read"), whole, "{name}");
        }
    }

    #[test]
    fn records_cut_off_are_gone_and_their_digests_with_them() {
        let dir = tempfile::tempdir().expect("a directory");
        let records = records(5);
        let (mut ledger, mut log) = opened(dir.path());
        for admitted in &records {
            ledger.insert(admitted.record.clone(), 7).expect("new");
        }
        log.append(&ledger, &records).expect("written");
        drop((ledger, log));
        let path = dir.path().join("records");
        let length = std::fs::metadata(&path).expect("there").len();
        let file = std::fs::OpenOptions::new().write(true).open(&path).expect("opened");
        file.set_len(length - 1).expect("cut");
        let (ledger, _) = opened(dir.path());
        assert_eq!((ledger.len(), denied(&ledger, 5)), (5, 4));
        // And what is written from here on is read again.
        let (mut ledger, mut log) = opened(dir.path());
        ledger.insert(records[5].record.clone(), 7).expect("new");
        log.append(&ledger, &records[5..]).expect("written");
        assert_eq!(opened(dir.path()).0.len(), 6);
    }

    #[test]
    fn a_record_written_ahead_is_there_after_a_crash() {
        let dir = tempfile::tempdir().expect("a directory");
        let records = records(1);
        let (mut ledger, mut log) = opened(dir.path());
        ledger.insert(records[0].record.clone(), 7).expect("new");
        log.append(&ledger, &records[..1]).expect("written");
        log.append_ahead(&records[1].record, 7).expect("written");
        assert_eq!(opened(dir.path()).0.len(), 2);
    }
}
