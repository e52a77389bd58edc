//! Frames of a file, many at a time: read and checked by one thread, used by another.
//!
//! Invariants: a batch holds whole and sound frames that follow each other in the file; memory is
//! some `BATCH_BYTES` and the longest frame. What it is not: a judge of what a frame says.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};

use super::frames::{CHECK_BYTES, FRAME_BYTES, LENGTH_BYTES, check};

/// Read from the file at once.
const BUFFER_BYTES: usize = 1 << 20;
/// A batch ends with the first frame that reaches this.
const BATCH_BYTES: usize = 1 << 18;

/// Some frames.
#[derive(Debug)]
pub(super) struct Batch {
    /// Where the first stands in the file.
    first: u64,
    bytes: Vec<u8>,
    /// Where each ends in `bytes`.
    ends: Vec<usize>,
}

impl Batch {
    /// How many.
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Where each stands in the file, and its bytes.
    pub(super) fn frames(&self) -> impl Iterator<Item = (u64, &[u8])> {
        (0..self.len()).map(|at| {
            let start = at.checked_sub(1).map_or(0, |before| self.ends[before]);
            (self.place(at), &self.bytes[start..self.ends[at]])
        })
    }

    /// Where frame `at` stands in the file, or what follows the last.
    pub(super) fn place(&self, at: usize) -> u64 {
        let before = at.checked_sub(1).map_or(0, |before| self.ends[before]);
        self.first + before as u64 + at as u64 * FRAME_BYTES
    }
}

/// A file being read.
#[derive(Debug)]
pub(super) struct Reading {
    file: BufReader<File>,
    at: u64,
    bytes_max: usize,
    /// Whether there is no whole and sound frame at `at`.
    ended: bool,
}

impl Reading {
    /// Reads from `from` on frames of at most `bytes_max`.
    pub(super) fn new(file: File, from: u64, bytes_max: usize) -> io::Result<Self> {
        let mut file = BufReader::with_capacity(BUFFER_BYTES, file);
        file.seek(SeekFrom::Start(from))?;
        Ok(Self { file, at: from, bytes_max, ended: false })
    }

    /// The next frames; none if there is no whole and sound one.
    pub(super) fn batch(&mut self) -> io::Result<Option<Batch>> {
        let mut batch = Batch { first: self.at, bytes: Vec::new(), ends: Vec::new() };
        while !self.ended && batch.bytes.len() < BATCH_BYTES {
            let whole = batch.bytes.len();
            if read_frame(&mut self.file, self.bytes_max, &mut batch.bytes)? {
                batch.ends.push(batch.bytes.len());
            } else {
                batch.bytes.truncate(whole);
                self.ended = true;
            }
        }
        self.at = batch.place(batch.len());
        Ok((batch.len() > 0).then_some(batch))
    }

    /// Where the first whole and sound frame stands after one at `damaged`, if there is any within
    /// the length of two.
    pub(super) fn sound_after(&mut self, damaged: u64) -> io::Result<Option<u64>> {
        let mut bytes = Vec::new();
        self.file.seek(SeekFrom::Start(damaged))?;
        let within = 3 * (self.bytes_max as u64 + FRAME_BYTES);
        self.file.by_ref().take(within).read_to_end(&mut bytes)?;
        let mut frame = Vec::new();
        for start in 1..bytes.len() {
            frame.clear();
            // An empty one would be found in any bytes but for the check, and says nothing.
            let is_sound = read_frame(&mut &bytes[start..], self.bytes_max, &mut frame)?;
            if is_sound && !frame.is_empty() {
                return Ok(Some(damaged + start as u64));
            }
        }
        Ok(None)
    }
}

/// Reads the next frame's bytes to the end of `bytes`; false if there is no whole and sound one.
fn read_frame(reader: &mut impl Read, bytes_max: usize, bytes: &mut Vec<u8>) -> io::Result<bool> {
    let mut length = [0; LENGTH_BYTES];
    if !fill(reader, &mut length)? {
        return Ok(false);
    }
    let count = u32::from_le_bytes(length) as usize;
    if count > bytes_max {
        return Ok(false);
    }
    let start = bytes.len();
    bytes.resize(start + count, 0);
    let mut found = [0; CHECK_BYTES];
    let is_whole = fill(reader, &mut bytes[start..])? && fill(reader, &mut found)?;
    Ok(is_whole && found == check(length, &bytes[start..]))
}

/// Reads exactly so many bytes; false if there are fewer.
fn fill(reader: &mut impl Read, bytes: &mut [u8]) -> io::Result<bool> {
    match reader.read_exact(bytes) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}
