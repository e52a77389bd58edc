//! Growing a log: records in, tiles and one signed checkpoint out.
//!
//! Invariants: tiles are durable before a checkpoint over them is signed, and that is durable before
//! anyone sees it; no size is signed twice, since what is signed is kept first and taken up again
//! after a crash; entries are the records in the order in which the ledger admitted them.
//! What it is not: asking witnesses (see `keeper`), or serving (see `serve`).

use consent::Subject;
use consent::proof::{AbsenceProof, RecordProof};
use consent::subject_map::{SubjectMap, said_by};
use protocol::log::SignedCheckpoint;
use protocol::log::audit::{ProveError, prove_consistency, prove_inclusion};
use protocol::log::map::{MapFullError, stated_root};
use protocol::log::proof::{LogProof, ProofError};
use protocol::log::tile::{
    AppendError, TileError, TileKind, TilePath, TileReadError, TileReader, TileWriter, TiledHashes,
    parse_entries,
};
use protocol::log::tree::{CompactRange, TreeHash};
use protocol::{ContentId, RecordId};
use rayon::prelude::*;

use super::place::{LogDir, LogDirError};

/// Why a log cannot grow, or something cannot be proved of it.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// Its directory.
    #[error(transparent)]
    Dir(#[from] LogDirError),
    /// Its tiles.
    #[error("the log's files: {0}")]
    Tiles(#[from] TileReadError<LogDirError>),
    /// A bundle of entries.
    #[error("the log's entries: {0}")]
    Entries(#[from] TileError),
    /// A proof from its tiles.
    #[error("the log's files: {0}")]
    Prove(#[from] ProveError<TileReadError<LogDirError>>),
    /// It is full.
    #[error("the log: {0}")]
    Append(#[from] AppendError),
    /// Its map is full.
    #[error("the log: {0}")]
    Map(#[from] MapFullError),
    /// A proof's form.
    #[error("the proof: {0}")]
    Form(#[from] ProofError),
    /// The map that the entries give is not the one in the checkpoint.
    #[error("the checkpoint states another map than the log's entries give")]
    OtherMap,
    /// The entries do not give the root.
    #[error("the checkpoint states another root than the log's entries give")]
    OtherRoot,
    /// The ledger's records are not those of the log.
    #[error(
        "the log's newest entry is not the ledger's record of that number: restore both from one \
         backup, or make another log"
    )]
    OtherLedger,
    /// The record is not covered yet.
    #[error("record {0} is not under a published checkpoint yet: ask again in a moment")]
    NotYet(RecordId),
    /// Nothing is published yet.
    #[error("the log has published no checkpoint yet: ask again in a moment")]
    Unpublished,
    /// Somebody spoke of the work.
    #[error("{} statements speak of {content}: the first is record {}", .records.len(), .records[0])]
    Spoken {
        /// The work.
        content: ContentId,
        /// Who did.
        records: Vec<RecordId>,
    },
}

/// A log that grows.
#[derive(Debug)]
pub(super) struct LogWriter {
    pub(super) dir: LogDir,
    tiles: TileWriter,
    map: SubjectMap,
    signed: SignedCheckpoint,
}

impl LogWriter {
    /// Takes up the log where its newest signed checkpoint stands.
    pub(super) fn open(dir: LogDir) -> Result<Self, LogError> {
        let signed = dir.signed()?;
        let (size, root) = (signed.checkpoint().size(), signed.checkpoint().root());
        let tiles = TileWriter::resume(size, &root, &dir)?;
        let (_, map) = reread(&dir, size, |_| ())?;
        let mut writer = Self { dir, tiles, map, signed };
        if stated_root(writer.signed.checkpoint()) != Some(writer.map.root()) {
            return Err(LogError::OtherMap);
        }
        Ok(writer)
    }

    /// The newest signed checkpoint.
    pub(super) fn signed(&self) -> &SignedCheckpoint {
        &self.signed
    }

    /// How many entries it has.
    pub(super) fn size(&self) -> u64 {
        self.tiles.size()
    }

    /// The newest entry.
    pub(super) fn last_entry(&self) -> Result<Option<Vec<u8>>, LogError> {
        self.size().checked_sub(1).map(|index| entry(&self.dir, index, self.size())).transpose()
    }

    /// Appends entries and signs a checkpoint over all. Nothing may be done with a writer after an
    /// error but to open it again.
    pub(super) fn grow(&mut self, entries: &[Vec<u8>]) -> Result<(), LogError> {
        let said: Vec<_> = entries.par_iter().map(|entry| said_by(entry)).collect();
        let mut full = Vec::new();
        for entry in entries {
            let files = self.tiles.append(entry)?;
            self.dir.keep_tiles(&files)?;
            full.extend(files.into_iter().map(|file| file.path));
        }
        for (record, keys) in said.into_iter().flatten() {
            self.map.add(record, &keys)?;
        }
        self.dir.keep_tiles(&self.tiles.partial_files())?;
        let signed = self.dir.sign(self.tiles.size(), self.tiles.root(), &self.map.root())?;
        self.dir.keep_signed(&signed)?;
        self.signed = signed;
        self.dir.drop_partial(&full);
        Ok(())
    }

    /// The proof that the log grew from `old_size` to its newest signed checkpoint; empty if there is
    /// nothing to prove.
    pub(super) fn consistency(&self, old_size: u64) -> Result<Vec<TreeHash>, LogError> {
        if old_size == 0 || old_size >= self.size() {
            return Ok(Vec::new());
        }
        let hashes = TiledHashes::new(self.size(), &self.dir);
        prove_consistency(old_size, self.size(), &hashes).map_err(|error| match error {
            ProveError::Range { from, size } => LogError::Prove(ProveError::Range { from, size }),
            ProveError::Source(source) => LogError::Tiles(source),
        })
    }

    /// The proof that the record at `index`, whose envelope this is, is under the published
    /// checkpoint.
    pub(super) fn prove_record(
        &self,
        id: RecordId,
        index: u64,
        envelope: &[u8],
    ) -> Result<RecordProof, LogError> {
        let published = self.dir.published()?.ok_or(LogError::Unpublished)?;
        let size = published.checkpoint().size();
        if index >= size {
            return Err(LogError::NotYet(id));
        }
        if entry(&self.dir, index, size)? != envelope {
            return Err(LogError::OtherLedger);
        }
        let hashes = prove_inclusion(index, size, &TiledHashes::new(size, &self.dir))?;
        let proof = LogProof::new(index, hashes, published.note().clone(), Vec::new())?;
        Ok(RecordProof::new(envelope, &proof))
    }

    /// The proof that no statement under the published checkpoint speaks of a work.
    pub(super) fn prove_absence(&mut self, content: ContentId) -> Result<AbsenceProof, LogError> {
        let published = self.dir.published()?.ok_or(LogError::Unpublished)?;
        // The map is that of the newest signed checkpoint; between signing and showing there is none.
        if published.checkpoint().size() != self.size() {
            return Err(LogError::Unpublished);
        }
        let subject = Subject::Content(content);
        let (records, proof) = self.map.prove(&subject);
        if !records.is_empty() {
            return Err(LogError::Spoken { content, records });
        }
        Ok(AbsenceProof::new(&subject, &proof, &published.note().to_bytes()))
    }
}

/// What `accord log verify` found.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Verified {
    /// The log's name.
    pub origin: String,
    /// Its entries.
    pub size: u64,
    /// Statements among them.
    pub statements: u64,
    /// The tree's root.
    pub root: String,
    /// The map's root.
    pub map: String,
}

/// Reads every entry again and computes tree and map anew; both must be what the newest signed
/// checkpoint says, and so must every tile.
pub fn verify(dir: &LogDir) -> Result<Verified, LogError> {
    let signed = dir.signed()?;
    let (size, root) = (signed.checkpoint().size(), signed.checkpoint().root());
    let mut tiles = TileWriter::default();
    let mut failed = None;
    let (statements, mut map) = reread(dir, size, |entry| {
        let files = tiles.append(entry).map_err(LogError::from);
        let checked = files.and_then(|files| same(dir, &files));
        failed = failed.take().or_else(|| checked.err());
    })?;
    if let Some(error) = failed {
        return Err(error);
    }
    same(dir, &tiles.partial_files())?;
    if tiles.root() != root
        || CompactRange::read(size, &TiledHashes::new(size, dir))?.root() != root
    {
        return Err(LogError::OtherRoot);
    }
    let map = map.root();
    if stated_root(signed.checkpoint()) != Some(map) {
        return Err(LogError::OtherMap);
    }
    let origin = dir.vkey().name().to_owned();
    Ok(Verified { origin, size, statements, root: root.to_string(), map: map.to_string() })
}

/// Whether these files are those on disk.
fn same(dir: &LogDir, files: &[protocol::log::tile::TileFile]) -> Result<(), LogError> {
    match files.iter().find(|file| dir.read(&file.path).ok().as_ref() != Some(&file.bytes)) {
        None => Ok(()),
        Some(_) => Err(LogError::OtherRoot),
    }
}

/// Reads the first `size` entries; returns how many are statements, and the map over them.
fn reread(
    dir: &LogDir,
    size: u64,
    mut each: impl FnMut(&[u8]),
) -> Result<(u64, SubjectMap), LogError> {
    let (mut map, mut statements) = (SubjectMap::default(), 0);
    for index in 0..size.div_ceil(256) {
        let Some(path) = TilePath::in_log(TileKind::Entries, index, size) else { break };
        let bytes = dir.read(&path)?;
        let entries = parse_entries(&path, &bytes)?;
        let said: Vec<_> = entries.par_iter().map(|entry| said_by(entry)).collect();
        for (record, keys) in said.into_iter().flatten() {
            map.add(record, &keys)?;
            statements += 1;
        }
        entries.iter().for_each(|entry| each(entry));
    }
    Ok((statements, map))
}

/// The entry at `index` of a log of `size` entries.
fn entry(dir: &LogDir, index: u64, size: u64) -> Result<Vec<u8>, LogError> {
    let path = TilePath::in_log(TileKind::Entries, index / 256, size);
    let path = path.ok_or(LogError::OtherLedger)?;
    let bytes = dir.read(&path)?;
    let entries = parse_entries(&path, &bytes)?;
    entries.get((index % 256) as usize).map(|entry| entry.to_vec()).ok_or(LogError::OtherLedger)
}
