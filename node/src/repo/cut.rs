//! Where a file is cut into shards.
//!
//! A safetensors file is cut after its header and at every tensor's boundary, so that a fine-tune
//! that changes one layer costs one layer; a tensor longer than a shard is cut at fixed offsets
//! within it. Any other file is cut where its content says so (gear hash, as in FastCDC, Xia et al.
//! 2016), so that an insertion moves only the cuts next to it.
//!
//! Invariants: the pieces are in order and add up to the file; equal files are cut alike everywhere.
//! What it is not: a check of the weights' values (see `trainer::snapshot`).

use std::io::{self, Read};

use protocol::limits::{SHARD_BYTES_MAX, WEIGHTS_HEADER_BYTES_MAX};
use serde::Deserialize;

/// Why a safetensors file cannot be shared.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CutError {
    /// It could not be read.
    #[error("cannot be read: {0}")]
    Read(#[from] io::Error),
    /// Its header claims more than any may have.
    #[error("is no safetensors file: its header claims {0} bytes")]
    HeaderTooLong(u64),
    /// Its header is not one.
    #[error("is no safetensors file: {0}")]
    Header(String),
    /// Its tensors overlap, leave holes, or do not end where the file does.
    #[error("is damaged: {0}")]
    Tensors(String),
}

/// The length in bytes at which content is cut at the earliest, on average, and at the latest.
const CHUNK_BYTES_MIN: usize = 256 << 10;
const CHUNK_BYTES_MASK: u64 = (1 << 20) - 1;
const CHUNK_BYTES_MAX: usize = 4 << 20;

/// The lengths of a safetensors file's shards, from its header; `bytes` is the file's length.
pub(super) fn tensor_shards(file: &mut impl Read, bytes: u64) -> Result<Vec<u64>, CutError> {
    let mut length = [0u8; 8];
    if bytes < 8 {
        return Err(CutError::Header(format!("it has {bytes} bytes")));
    }
    file.read_exact(&mut length)?;
    let header_bytes = u64::from_le_bytes(length);
    if header_bytes > WEIGHTS_HEADER_BYTES_MAX as u64 {
        return Err(CutError::HeaderTooLong(header_bytes));
    }
    if header_bytes + 8 > bytes {
        let said = format!("it ends after {bytes} bytes, its header needs {}", header_bytes + 8);
        return Err(CutError::Tensors(said));
    }
    let mut header = vec![0u8; header_bytes as usize];
    file.read_exact(&mut header)?;
    let spans = tensor_spans(&header)?;
    let data_bytes = bytes - 8 - header_bytes;
    let mut shards = Vec::new();
    push(&mut shards, 8 + header_bytes);
    let mut at = 0;
    for (name, start, end) in spans {
        if start != at || end < start {
            let said = format!("tensor {name:?} overlaps another or leaves a hole");
            return Err(CutError::Tensors(said));
        }
        push(&mut shards, end - start);
        at = end;
    }
    if at != data_bytes {
        let said = format!("its tensors need {at} bytes, it holds {data_bytes}");
        return Err(CutError::Tensors(said));
    }
    Ok(shards)
}

fn tensor_spans(header: &[u8]) -> Result<Vec<(String, u64, u64)>, CutError> {
    #[derive(Deserialize)]
    struct Entry {
        data_offsets: (u64, u64),
    }
    let entries: std::collections::BTreeMap<String, serde_json::Value> =
        serde_json::from_slice(header).map_err(|e| CutError::Header(e.to_string()))?;
    let mut spans = Vec::with_capacity(entries.len());
    for (name, value) in entries {
        if name == "__metadata__" {
            continue;
        }
        let entry: Entry =
            serde_json::from_value(value).map_err(|e| CutError::Header(e.to_string()))?;
        spans.push((name, entry.data_offsets.0, entry.data_offsets.1));
    }
    spans.sort_by_key(|(_, start, end)| (*start, *end));
    Ok(spans)
}

/// Adds the shards of a span: whole, or at fixed offsets if it is longer than a shard may be.
fn push(shards: &mut Vec<u64>, span_bytes: u64) {
    let mut left = span_bytes;
    while left > 0 {
        let bytes = left.min(SHARD_BYTES_MAX);
        shards.push(bytes);
        left -= bytes;
    }
}

/// How many of `window`'s bytes the next content-defined shard takes; `window` holds at least
/// `CHUNK_BYTES_MAX` bytes unless the file ends before.
pub(super) fn content_cut(window: &[u8]) -> usize {
    let limit = window.len().min(CHUNK_BYTES_MAX);
    if limit <= CHUNK_BYTES_MIN {
        return limit;
    }
    let mut hash = 0u64;
    // 64 bytes before the earliest cut fill the hash.
    for (at, byte) in window[..limit].iter().enumerate().skip(CHUNK_BYTES_MIN - 64) {
        hash = (hash << 1).wrapping_add(GEAR[usize::from(*byte)]);
        if at >= CHUNK_BYTES_MIN && (hash >> 44) & CHUNK_BYTES_MASK == 0 {
            return at + 1;
        }
    }
    limit
}

/// The longest content-defined shard, in bytes.
pub(super) const fn content_window() -> usize {
    CHUNK_BYTES_MAX
}

/// One random-looking word a byte value: SplitMix64 of the value.
const GEAR: [u64; 256] = {
    let mut gear = [0u64; 256];
    let mut i = 0;
    while i < 256 {
        let mut z = (i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        gear[i] = z ^ (z >> 31);
        i += 1;
    }
    gear
};

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(bytes: &[u8]) -> Result<Vec<u64>, CutError> {
        tensor_shards(&mut &bytes[..], bytes.len() as u64)
    }

    fn file(header: &str, data: usize) -> Vec<u8> {
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header.bytes());
        bytes.resize(bytes.len() + data, 0);
        bytes
    }

    #[test]
    fn weights_are_cut_at_tensors() {
        let header = r#"{"__metadata__":{"a":"b"},"x":{"dtype":"F32","shape":[2],"data_offsets":[4,12]},"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#;
        let shards = cut(&file(header, 12)).expect("valid");
        assert_eq!(shards, [8 + header.len() as u64, 4, 8]);
    }

    #[test]
    fn damaged_weights_are_named() {
        let overlap = r#"{"x":{"data_offsets":[0,8]},"y":{"data_offsets":[4,12]}}"#;
        let said = cut(&file(overlap, 12)).expect_err("overlap").to_string();
        assert!(said.contains("\"y\" overlaps"), "{said}");
        let whole = r#"{"x":{"data_offsets":[0,8]}}"#;
        let said = cut(&file(whole, 5)).expect_err("truncated").to_string();
        assert!(said.contains("need 8 bytes, it holds 5"), "{said}");
        let mut claims = file(whole, 8);
        claims[..8].copy_from_slice(&(1u64 << 63).to_le_bytes());
        assert!(matches!(cut(&claims), Err(CutError::HeaderTooLong(_))));
        assert!(cut(b"x").is_err() && cut(&file("[", 0)).is_err());
    }

    #[test]
    fn long_tensors_are_cut_at_fixed_offsets() {
        let mut shards = Vec::new();
        push(&mut shards, SHARD_BYTES_MAX * 2 + 5);
        assert_eq!(shards, [SHARD_BYTES_MAX, SHARD_BYTES_MAX, 5]);
    }

    #[test]
    fn an_insertion_moves_only_the_cuts_next_to_it() {
        let mut word = 1u64;
        let mut noise = || {
            word ^= word << 13;
            word ^= word >> 7;
            word ^= word << 17;
            word as u8
        };
        let bytes: Vec<u8> = (0..24 << 20).map(|_| noise()).collect();
        let mut longer = bytes.clone();
        longer.splice(1_000..1_000, [7; 10]);
        let cuts = |bytes: &[u8]| {
            let mut pieces = std::collections::BTreeSet::new();
            let mut at = 0;
            while at < bytes.len() {
                let next = content_cut(&bytes[at..]);
                pieces.insert(blake3::hash(&bytes[at..at + next]).to_hex().to_string());
                at += next;
            }
            pieces
        };
        let (before, after) = (cuts(&bytes), cuts(&longer));
        assert!(before.len() > 8, "{} pieces", before.len());
        assert!(before.difference(&after).count() <= 2);
    }
}
