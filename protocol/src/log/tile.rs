//! The log as files: tiles of 256 hashes and bundles of 256 entries (C2SP tlog-tiles).
//!
//! ```text
//! tile/<L>/<N>[.p/<W>]       W hashes of 32 bytes, nodes of level 8 L from index 256 N
//! tile/entries/<N>[.p/<W>]   W entries from index 256 N, each after its 16-bit big-endian length
//! ```
//!
//! `<N>` is in elements of three digits, all but the last after an `x`: 1234067 is `x001/x234/067`.
//! A full file has `W = 256` and no suffix.
//!
//! Invariants: a full file never changes, and one path has one content for all time; what a
//! [`TileWriter`] returns must be on disk before a checkpoint of that size is signed. A writer
//! holds one bundle and at most 8 partial tiles. What it is not: a store or an HTTP server.

use std::fmt;
use std::str::FromStr;

use super::tree::{CompactRange, HashSource, TreeHash, root};
use crate::limits::{LOG_ENTRY_BYTES_MAX, LOG_SIZE_MAX};

/// Hashes of a full tile and entries of a full bundle.
pub const TILE_WIDTH: u16 = 256;
/// Levels of the tree in one tile.
const TILE_HEIGHT: u8 = 8;
/// The highest level in a path.
const LEVEL_MAX: u8 = 63;

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TileKind {
    /// Hashes of the tree, at this level of tiles.
    Hashes(u8),
    /// The entries themselves.
    Entries,
}

/// The path of a file under a log's prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TilePath {
    kind: TileKind,
    index: u64,
    width: u16,
}

/// The text is not the path of a tile or bundle.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not the path of a tile or of entries")]
pub struct TilePathError(pub String);

impl TilePath {
    /// The path of the file `index` that holds `width` hashes or entries, `1..=256`; levels go up
    /// to 63.
    pub fn new(kind: TileKind, index: u64, width: u16) -> Option<Self> {
        let is_level = !matches!(kind, TileKind::Hashes(level) if level > LEVEL_MAX);
        let is_width = (1..=TILE_WIDTH).contains(&width);
        (is_level && is_width).then_some(Self { kind, index, width })
    }

    /// The path of the file in a log of `log_size` entries, full or partial; none if it is empty.
    pub fn in_log(kind: TileKind, index: u64, log_size: u64) -> Option<Self> {
        let level = if let TileKind::Hashes(level) = kind { level } else { 0 };
        let hashes = log_size.checked_shr(u32::from(level) * u32::from(TILE_HEIGHT)).unwrap_or(0);
        let left = hashes.checked_sub(index.checked_mul(u64::from(TILE_WIDTH))?)?;
        Self::new(kind, index, left.min(u64::from(TILE_WIDTH)) as u16)
    }

    /// What the file holds.
    pub fn kind(&self) -> TileKind {
        self.kind
    }

    /// Which one of its kind and level it is.
    pub fn index(&self) -> u64 {
        self.index
    }

    /// How many hashes or entries it holds.
    pub fn width(&self) -> u16 {
        self.width
    }
}

impl fmt::Display for TilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            TileKind::Hashes(level) => write!(f, "tile/{level}/")?,
            TileKind::Entries => f.write_str("tile/entries/")?,
        }
        let digits = self.index.to_string();
        let digits = format!("{digits:0>width$}", width = digits.len().div_ceil(3) * 3);
        for at in (0..digits.len() - 3).step_by(3) {
            write!(f, "x{}/", &digits[at..at + 3])?;
        }
        f.write_str(&digits[digits.len() - 3..])?;
        if self.width < TILE_WIDTH { write!(f, ".p/{}", self.width) } else { Ok(()) }
    }
}

impl FromStr for TilePath {
    type Err = TilePathError;

    fn from_str(text: &str) -> Result<Self, TilePathError> {
        let path = parse_path(text).filter(|path| path.to_string() == text);
        path.ok_or_else(|| TilePathError(text.chars().take(80).collect()))
    }
}

/// Reads a path without regard to zeros in front; [`TilePath::from_str`] compares the text.
fn parse_path(text: &str) -> Option<TilePath> {
    let (kind, rest) = text.strip_prefix("tile/")?.split_once('/')?;
    let kind =
        if kind == "entries" { TileKind::Entries } else { TileKind::Hashes(kind.parse().ok()?) };
    let (index, width) = match rest.split_once(".p/") {
        Some((_, "256")) => return None,
        Some((index, width)) => (index, width.parse().ok()?),
        None => (rest, TILE_WIDTH),
    };
    let mut number = 0u64;
    for element in index.split('/') {
        let digits: u16 = element.strip_prefix('x').unwrap_or(element).parse().ok()?;
        number = number.checked_mul(1000)?.checked_add(digits.into())?;
    }
    TilePath::new(kind, number, width)
}

/// Why the bytes of a file are not what its path says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TileError {
    /// A path of the other kind.
    #[error("the path is of the other kind")]
    Kind,
    /// Not so many hashes.
    #[error("{0} bytes are not the hashes that the path names")]
    Hashes(usize),
    /// Not so many entries, or bytes after them.
    #[error("the bundle does not have the entries that the path names")]
    Entries,
    /// An entry is longer than [`LOG_ENTRY_BYTES_MAX`].
    #[error("an entry has {0} bytes, at most {LOG_ENTRY_BYTES_MAX} are allowed")]
    TooLong(usize),
}

/// The hashes of a tile's untrusted bytes.
pub fn parse_hashes(path: &TilePath, bytes: &[u8]) -> Result<Vec<TreeHash>, TileError> {
    if path.kind == TileKind::Entries {
        return Err(TileError::Kind);
    }
    let (hashes, rest) = bytes.as_chunks();
    if hashes.len() != usize::from(path.width) || !rest.is_empty() {
        return Err(TileError::Hashes(bytes.len()));
    }
    Ok(hashes.iter().map(|hash| TreeHash::from_bytes(*hash)).collect())
}

/// The entries of a bundle's untrusted bytes.
pub fn parse_entries<'b>(path: &TilePath, bytes: &'b [u8]) -> Result<Vec<&'b [u8]>, TileError> {
    if path.kind != TileKind::Entries {
        return Err(TileError::Kind);
    }
    let (mut entries, mut rest) = (Vec::new(), bytes);
    for _ in 0..path.width {
        let (length, after) = rest.split_first_chunk().ok_or(TileError::Entries)?;
        let length = usize::from(u16::from_be_bytes(*length));
        if length > LOG_ENTRY_BYTES_MAX {
            return Err(TileError::TooLong(length));
        }
        let (entry, after) = after.split_at_checked(length).ok_or(TileError::Entries)?;
        entries.push(entry);
        rest = after;
    }
    if rest.is_empty() { Ok(entries) } else { Err(TileError::Entries) }
}

/// Where files come from.
pub trait TileReader {
    /// Why a file could not be had.
    type Error;

    /// The bytes of a file, untrusted.
    fn read(&self, path: &TilePath) -> Result<Vec<u8>, Self::Error>;
}

impl<R: TileReader + ?Sized> TileReader for &R {
    type Error = R::Error;

    fn read(&self, path: &TilePath) -> Result<Vec<u8>, Self::Error> {
        (**self).read(path)
    }
}

/// Why a tree's hash could not be had from tiles.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TileReadError<E> {
    /// The log has no such node.
    #[error("the log has no complete subtree {index} of level {level}")]
    OutOfLog {
        /// The node's level.
        level: u8,
        /// The node's index in its level.
        index: u64,
    },
    /// A file could not be read.
    #[error("{0} could not be read: {1}")]
    Read(TilePath, E),
    /// A file's bytes are malformed.
    #[error("{0} is malformed: {1}")]
    Malformed(TilePath, TileError),
    /// The entries or hashes are not those of the root.
    #[error("the files are not those of the checkpoint")]
    Root,
}

/// The hashes of a log's tree of a certain size, from its tiles. A proof made from them must be
/// verified against a root: what the tiles say is not checked here.
#[derive(Debug, Clone)]
pub struct TiledHashes<R> {
    size: u64,
    reader: R,
}

impl<R: TileReader> TiledHashes<R> {
    /// The tree of the log's first `size` entries.
    pub fn new(size: u64, reader: R) -> Self {
        Self { size, reader }
    }

    fn tile(&self, level: u8, index: u64) -> Result<Vec<TreeHash>, TileReadError<R::Error>> {
        let path = TilePath::in_log(TileKind::Hashes(level), index, self.size)
            .ok_or(TileReadError::OutOfLog { level: level * TILE_HEIGHT, index })?;
        let bytes = self.reader.read(&path).map_err(|e| TileReadError::Read(path, e))?;
        parse_hashes(&path, &bytes).map_err(|e| TileReadError::Malformed(path, e))
    }
}

impl<R: TileReader> HashSource for TiledHashes<R> {
    type Error = TileReadError<R::Error>;

    fn hash(&self, level: u8, index: u64) -> Result<TreeHash, Self::Error> {
        let absent = || TileReadError::OutOfLog { level, index };
        if level > LEVEL_MAX || index >= self.size >> level {
            return Err(absent());
        }
        let height = level % TILE_HEIGHT;
        let first = index << height;
        let tile = self.tile(level / TILE_HEIGHT, first / u64::from(TILE_WIDTH))?;
        let start = (first % u64::from(TILE_WIDTH)) as usize;
        let hashes = tile.get(start..start + (1 << height)).ok_or_else(absent)?;
        Ok(root(hashes.iter().copied()))
    }
}

/// A file to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TileFile {
    /// Where, under the log's prefix.
    pub path: TilePath,
    /// What.
    pub bytes: Vec<u8>,
}

/// Why an entry is not appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// Longer than [`LOG_ENTRY_BYTES_MAX`].
    #[error("the entry has {0} bytes, at most {LOG_ENTRY_BYTES_MAX} are allowed")]
    TooLong(usize),
    /// The log has [`LOG_SIZE_MAX`] entries.
    #[error("the log has {LOG_SIZE_MAX} entries, which is all it can hold")]
    Full,
}

/// Turns entries into tiles and bundles.
#[derive(Debug, Clone, Default)]
pub struct TileWriter {
    range: CompactRange,
    /// The hashes of each level's partial tile; fewer than 256 each.
    levels: Vec<Vec<TreeHash>>,
    /// The partial bundle.
    bundle: Vec<u8>,
}

impl TileWriter {
    /// Goes on where a log with this size and root has stopped, reading its partial files.
    pub fn resume<R: TileReader>(
        size: u64,
        expected_root: &TreeHash,
        reader: &R,
    ) -> Result<Self, TileReadError<R::Error>> {
        let tiles = TiledHashes::new(size, reader);
        let range = CompactRange::read(size, &tiles)?;
        if range.root() != *expected_root {
            return Err(TileReadError::Root);
        }
        let (mut levels, mut hashes) = (Vec::new(), size);
        while hashes > 0 {
            let index = hashes / u64::from(TILE_WIDTH);
            let is_partial = !hashes.is_multiple_of(u64::from(TILE_WIDTH));
            levels.push(if is_partial {
                tiles.tile(levels.len() as u8, index)?
            } else {
                Vec::new()
            });
            hashes = index;
        }
        let mut bundle = Vec::new();
        let last = size / u64::from(TILE_WIDTH);
        if let Some(path) = TilePath::in_log(TileKind::Entries, last, size) {
            bundle = reader.read(&path).map_err(|e| TileReadError::Read(path, e))?;
            let entries = parse_entries(&path, &bundle)
                .map_err(|e| TileReadError::Malformed(path, e))?
                .into_iter()
                .map(TreeHash::of_entry);
            if !entries.eq(levels.first().into_iter().flatten().copied()) {
                return Err(TileReadError::Root);
            }
        }
        Ok(Self { range, levels, bundle })
    }

    /// How many entries the log has.
    pub fn size(&self) -> u64 {
        self.range.size()
    }

    /// The root over them, for the next checkpoint.
    pub fn root(&self) -> TreeHash {
        self.range.root()
    }

    /// Appends an entry, whose index is the size before. Returns the files that it completes.
    pub fn append(&mut self, entry: &[u8]) -> Result<Vec<TileFile>, AppendError> {
        let too_long = AppendError::TooLong(entry.len());
        if entry.len() > LOG_ENTRY_BYTES_MAX {
            return Err(too_long);
        }
        let length = u16::try_from(entry.len()).map_err(|_| too_long)?;
        let mut index = self.size();
        let mut hash = TreeHash::of_entry(entry);
        self.range.append(hash).map_err(|_| AppendError::Full)?;
        self.bundle.extend_from_slice(&length.to_be_bytes());
        self.bundle.extend_from_slice(entry);
        let mut files = Vec::new();
        for level in 0.. {
            if self.levels.len() == level {
                self.levels.push(Vec::new());
            }
            self.levels[level].push(hash);
            if self.levels[level].len() < usize::from(TILE_WIDTH) {
                break;
            }
            index /= u64::from(TILE_WIDTH);
            if level == 0 {
                let bytes = std::mem::take(&mut self.bundle);
                files.push(TileFile { path: full(TileKind::Entries, index), bytes });
            }
            let hashes = std::mem::take(&mut self.levels[level]);
            let path = full(TileKind::Hashes(level as u8), index);
            files.push(TileFile { path, bytes: concat(&hashes) });
            hash = root(hashes);
        }
        Ok(files)
    }

    /// The partial files of the log as it is, to be written before its checkpoint is signed.
    pub fn partial_files(&self) -> Vec<TileFile> {
        let entries = std::iter::once((TileKind::Entries, &self.bundle[..]));
        let entries = entries.map(|(kind, bytes)| (kind, bytes.to_vec()));
        let tiles = self.levels.iter().enumerate();
        let tiles = tiles.map(|(level, hashes)| (TileKind::Hashes(level as u8), concat(hashes)));
        let file = |(kind, bytes): (TileKind, Vec<u8>)| {
            let level = if let TileKind::Hashes(level) = kind { level } else { 0 };
            let index = self.size().checked_shr(8 * (u32::from(level) + 1)).unwrap_or(0);
            Some(TileFile { path: TilePath::in_log(kind, index, self.size())?, bytes })
        };
        entries.chain(tiles).filter_map(file).collect()
    }
}

fn full(kind: TileKind, index: u64) -> TilePath {
    TilePath { kind, index, width: TILE_WIDTH }
}

fn concat(hashes: &[TreeHash]) -> Vec<u8> {
    hashes.iter().flat_map(|hash| *hash.as_bytes()).collect()
}

#[cfg(test)]
#[path = "tests/tile.rs"]
mod tests;
