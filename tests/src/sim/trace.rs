//! The trace of a run: one line an event or act, a hash over all of them, and the last few.
//!
//! Invariants: the hash covers every line in order, whether or not it is kept or printed.
//! What it is not: input to anything; a run does not depend on its trace.

use std::collections::VecDeque;

use protocol::FileHash;

/// Lines kept for a failure.
const TAIL_LINES: usize = 32;

/// What to do with the trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trail {
    /// Keep its hash and its end.
    Quiet,
    /// Print all of it.
    Print,
    /// Keep the lines until they are taken.
    Collect,
}

/// The trace so far.
#[derive(Debug)]
pub(super) struct Trace {
    hasher: blake3::Hasher,
    tail: VecDeque<String>,
    trail: Trail,
    lines: Vec<String>,
}

impl Trace {
    pub(super) fn new(trail: Trail) -> Self {
        Self { hasher: blake3::Hasher::new(), tail: VecDeque::new(), trail, lines: Vec::new() }
    }

    /// Takes the next line.
    pub(super) fn note(&mut self, line: String) {
        self.hasher.update(line.as_bytes()).update(b"\n");
        match self.trail {
            Trail::Quiet => {}
            Trail::Print => println!("{line}"),
            Trail::Collect => self.lines.push(line.clone()),
        }
        if self.tail.len() == TAIL_LINES {
            self.tail.pop_front();
        }
        self.tail.push_back(line);
    }

    /// The hash over all lines.
    pub(super) fn hash(&self) -> FileHash {
        FileHash::from_bytes(*self.hasher.finalize().as_bytes())
    }

    /// The last lines.
    pub(super) fn tail(&self) -> Vec<String> {
        self.tail.iter().cloned().collect()
    }

    /// The lines collected since this was last asked.
    pub(super) fn take_lines(&mut self) -> Vec<String> {
        std::mem::take(&mut self.lines)
    }
}
