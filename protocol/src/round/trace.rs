//! What a trainer that shows its work has trained on and come through in one round.
//!
//! Invariants: every part is named by hash; bounded; canonical. What it is not: believed. An auditor draws
//! one segment and trains it again.

use serde::{Deserialize, Serialize};

use crate::codec::{self, DecodeError};
use crate::id::FileHash;
use crate::limits::{TRACE_BYTES_MAX, TRACE_SEGMENTS_MAX};

/// The trace of one update; its hash is in the commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trace {
    /// The hash of a table, as CSV, of the rows that were used.
    pub rows: FileHash,
    /// The hash of what earlier updates had left unsaid, as bfloat16, one a parameter; nothing if
    /// that is zero.
    pub residual: Option<FileHash>,
    /// The steps of a segment; the last may have fewer.
    pub segment_steps: u32,
    /// The hash of the state after each segment: the weights as f32, then the momentum, if there is any.
    pub states: Vec<FileHash>,
}

impl Trace {
    /// Reads untrusted bytes: bounded, canonical, with at least one segment.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let trace: Self = codec::decode(bytes, TRACE_BYTES_MAX)?;
        let segments = 1..=TRACE_SEGMENTS_MAX as usize;
        let fits = segments.contains(&trace.states.len()) && trace.segment_steps > 0;
        if fits { Ok(trace) } else { Err(DecodeError::NotCanonical) }
    }

    /// The canonical bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        codec::encode(self)
    }

    /// How many segments there are.
    pub fn segments(&self) -> u32 {
        self.states.len() as u32
    }
}
