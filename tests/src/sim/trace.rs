//! The trace of a run: one line an event or act, a hash over all of them, and the last few.
//!
//! Invariants: the hash covers every line in order, whether or not it is kept or printed.
//! What it is not: input to anything; a run does not depend on its trace.

use std::collections::VecDeque;

use protocol::FileHash;

/// Lines kept for a failure.
const TAIL_LINES: usize = 32;

/// The trace so far.
#[derive(Debug)]
pub(super) struct Trace {
    hash: FileHash,
    tail: VecDeque<String>,
    prints: bool,
}

impl Trace {
    pub(super) fn new(prints: bool) -> Self {
        Self { hash: FileHash::of(b""), tail: VecDeque::new(), prints }
    }

    /// Takes the next line.
    pub(super) fn note(&mut self, line: String) {
        self.hash = FileHash::of(&[self.hash.as_bytes(), line.as_bytes()].concat());
        if self.prints {
            println!("{line}");
        }
        if self.tail.len() == TAIL_LINES {
            self.tail.pop_front();
        }
        self.tail.push_back(line);
    }

    /// The hash over all lines.
    pub(super) fn hash(&self) -> FileHash {
        self.hash
    }

    /// The last lines.
    pub(super) fn tail(&self) -> Vec<String> {
        self.tail.iter().cloned().collect()
    }
}
