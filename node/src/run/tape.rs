//! What a round reads and writes: large things are files, small ones stay in memory.
//!
//! Invariants: a file is read and written where it is, in pieces; what is written vanishes unless it is
//! kept as a blob. What it is not: durable before it is kept.

use std::fs::File;
use std::io;
use std::path::Path;

use protocol::aggregate::{Memory, Outputs, Plan, Sink, Source, TapeError};
use tempfile::NamedTempFile;

/// Bytes from which on something is a file.
const FILE_BYTES_MIN: u64 = 1 << 20;

/// A file that is read in pieces.
#[derive(Debug)]
pub(super) struct FileSource {
    file: File,
    bytes: u64,
}

impl FileSource {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let bytes = file.metadata()?.len();
        Ok(Self { file, bytes })
    }
}

impl Source for FileSource {
    fn bytes(&self) -> u64 {
        self.bytes
    }

    fn read_at(&self, at: u64, into: &mut [u8]) -> Result<(), TapeError> {
        read_at(&self.file, at, into).map_err(tape_error)
    }
}

/// A result of a round.
#[derive(Debug)]
pub(super) enum Tape {
    Memory(Memory),
    File { file: NamedTempFile, bytes: u64 },
}

impl Tape {
    /// Room for so many bytes; if it is a file, in `dir`.
    fn new(bytes: u64, dir: &Path) -> io::Result<Self> {
        if bytes < FILE_BYTES_MIN {
            return Ok(Self::Memory(Memory::zeros(bytes)));
        }
        let file = tempfile::Builder::new().prefix(".round-").tempfile_in(dir)?;
        file.as_file().set_len(bytes)?;
        Ok(Self::File { file, bytes })
    }
}

impl Source for Tape {
    fn bytes(&self) -> u64 {
        match self {
            Self::Memory(memory) => memory.bytes(),
            Self::File { bytes, .. } => *bytes,
        }
    }

    fn read_at(&self, at: u64, into: &mut [u8]) -> Result<(), TapeError> {
        match self {
            Self::Memory(memory) => memory.read_at(at, into),
            Self::File { file, .. } => read_at(file.as_file(), at, into).map_err(tape_error),
        }
    }
}

impl Sink for Tape {
    fn write_at(&self, at: u64, bytes: &[u8]) -> Result<(), TapeError> {
        match self {
            Self::Memory(memory) => memory.write_at(at, bytes),
            Self::File { file, .. } => write_at(file.as_file(), at, bytes).map_err(tape_error),
        }
    }
}

/// All results of a round.
#[derive(Debug)]
pub(super) struct Tapes {
    pub(super) weights: Tape,
    pub(super) state: Tape,
    pub(super) step: Tape,
}

impl Tapes {
    /// Room for what a round of this plan comes to; the model's file has so many bytes.
    pub(super) fn new(plan: &Plan, weights_bytes: u64, dir: &Path) -> io::Result<Self> {
        Ok(Self {
            weights: Tape::new(weights_bytes, dir)?,
            state: Tape::new(plan.state().bytes(), dir)?,
            step: Tape::new(plan.step_form().map_or(0, |form| form.step_bytes()), dir)?,
        })
    }

    pub(super) fn outputs(&self) -> Outputs<'_> {
        Outputs { weights: &self.weights, state: &self.state, step: &self.step }
    }
}

fn tape_error(error: io::Error) -> TapeError {
    TapeError(error.to_string())
}

#[cfg(unix)]
fn read_at(file: &File, at: u64, into: &mut [u8]) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, into, at)
}

#[cfg(unix)]
fn write_at(file: &File, at: u64, bytes: &[u8]) -> io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, bytes, at)
}

#[cfg(windows)]
fn read_at(file: &File, at: u64, into: &mut [u8]) -> io::Result<()> {
    let mut done = 0;
    while done < into.len() {
        let place = at + done as u64;
        match std::os::windows::fs::FileExt::seek_read(file, &mut into[done..], place)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => done += count,
        }
    }
    Ok(())
}

#[cfg(windows)]
fn write_at(file: &File, at: u64, bytes: &[u8]) -> io::Result<()> {
    let mut done = 0;
    while done < bytes.len() {
        let place = at + done as u64;
        done += std::os::windows::fs::FileExt::seek_write(file, &bytes[done..], place)?;
    }
    Ok(())
}
