//! Weights from a file that somebody else wrote: safetensors in, [`Weights`] out.
//!
//! Format: github.com/huggingface/safetensors, README "Format". F32, F16 and BF16 are read; all
//! become f32.
//!
//! Invariants: nothing is allocated for a length that the file does not have; tensors lie back to
//! back, without holes or overlaps; values are finite. Pickles are refused, by content and by
//! name: unpickling one runs code of its author's choice. What it is not: a check that a model
//! fits (see [`crate::Model::check`]).

mod error;
mod header;
mod pickle;

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use protocol::limits::{PARAMETERS_MAX, WEIGHTS_HEADER_BYTES_MAX};
use protocol::weights::{TensorShape, Weights, WeightsError};

pub use error::SnapshotError;
pub use pickle::pickle_reason;

use header::{Place, check_places, parse_header};

/// What is read of a file before anything is known of it.
const START_BYTES: u64 = 4096;
const PIECE_BYTES: usize = 1 << 20;

/// Reads the untrusted safetensors file at `path`.
pub fn read_weights(path: &Path) -> Result<Weights, SnapshotError> {
    let file = File::open(path).map_err(SnapshotError::Open)?;
    let length = file.metadata().map_err(SnapshotError::Open)?.len();
    let mut file = BufReader::with_capacity(1 << 16, file);
    let mut start = Vec::new();
    file.by_ref().take(START_BYTES).read_to_end(&mut start).map_err(SnapshotError::Read)?;
    if let Some(reason) = pickle_reason(path, &start) {
        return Err(SnapshotError::Pickle(reason));
    }
    let data_max = 4 * PARAMETERS_MAX as u64;
    if length > 8 + WEIGHTS_HEADER_BYTES_MAX as u64 + data_max {
        return Err(SnapshotError::TooLong(length));
    }
    let header_bytes = start
        .first_chunk::<8>()
        .map(|bytes| u64::from_le_bytes(*bytes))
        .ok_or(SnapshotError::Truncated { found: length, expected: 8 })?;
    if header_bytes > WEIGHTS_HEADER_BYTES_MAX as u64 {
        return Err(SnapshotError::HeaderTooLong(header_bytes));
    }
    let data_start = 8 + header_bytes;
    if data_start > length {
        return Err(SnapshotError::Truncated { found: length, expected: data_start });
    }
    let mut header = vec![0; header_bytes as usize];
    file.seek(SeekFrom::Start(8)).map_err(SnapshotError::Read)?;
    file.read_exact(&mut header).map_err(SnapshotError::Read)?;
    let tensors = parse_header(&header)?;
    let end = check_places(&tensors)?;
    let (found, expected) = (length, data_start.saturating_add(end));
    if found < expected {
        return Err(SnapshotError::Truncated { found, expected });
    }
    if found > expected {
        return Err(SnapshotError::Trailing(found - expected));
    }
    read_tensors(&mut file, data_start, tensors)
}

fn read_tensors(
    file: &mut BufReader<File>,
    data_start: u64,
    mut places: Vec<Place>,
) -> Result<Weights, SnapshotError> {
    places.sort_by(|a, b| a.name.cmp(&b.name));
    let count = |place: &Place| (place.end - place.begin) / place.dtype.bytes() as u64;
    let parameters: u64 = places.iter().map(count).sum();
    if parameters > PARAMETERS_MAX as u64 {
        let (found, max) = (parameters as usize, PARAMETERS_MAX);
        return Err(WeightsError::TooMany { what: "the number of parameters", found, max }.into());
    }
    let mut values = Vec::with_capacity(parameters as usize);
    let mut piece = vec![0; PIECE_BYTES];
    for place in &places {
        let start = SeekFrom::Start(data_start + place.begin);
        file.seek(start).map_err(SnapshotError::Read)?;
        let mut left = place.end - place.begin;
        while left > 0 {
            let bytes = &mut piece[..left.min(PIECE_BYTES as u64) as usize];
            file.read_exact(bytes).map_err(SnapshotError::Read)?;
            values.extend(bytes.chunks_exact(place.dtype.bytes()).map(|b| place.dtype.read(b)));
            left -= bytes.len() as u64;
        }
    }
    let layout = places.into_iter().map(|p| TensorShape { name: p.name, shape: p.shape });
    Ok(Weights::from_flat(layout.collect(), values)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use safetensors::tensor::{Dtype, TensorView, serialize};

    fn read(bytes: &[u8]) -> Result<Weights, SnapshotError> {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("model.safetensors");
        std::fs::write(&path, bytes).expect("writable");
        read_weights(&path)
    }

    fn message(header: &str, data: usize) -> String {
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header.bytes());
        bytes.extend(vec![0; data]);
        read(&bytes).expect_err("no weights").to_string()
    }

    #[test]
    fn what_the_outside_writes_is_read() {
        let a: Vec<u8> = [1.5f32, -2.0].iter().flat_map(|v| v.to_le_bytes()).collect();
        let b: Vec<u8> = [0x3c00u16, 0xc000].iter().flat_map(|v| v.to_le_bytes()).collect();
        let c: Vec<u8> = [0x3fc0u16].iter().flat_map(|v| v.to_le_bytes()).collect();
        let view = |dtype, shape: &[usize], data| {
            TensorView::new(dtype, shape.to_vec(), data).expect("a tensor")
        };
        let tensors = [
            ("z", view(Dtype::F32, &[2, 1], &a)),
            ("y", view(Dtype::F16, &[2], &b)),
            ("x", view(Dtype::BF16, &[], &c)),
        ];
        let metadata = [("format".to_string(), "pt".to_string())].into();
        let bytes = serialize(tensors, Some(metadata)).expect("their writer writes it");
        let weights = read(&bytes).expect("weights");
        let tensors: Vec<_> = weights.tensors().map(|(t, v)| (t.name.as_str(), v)).collect();
        assert_eq!(
            tensors,
            [("x", [1.5].as_slice()), ("y", [1.0, -2.0].as_slice()), ("z", [1.5, -2.0].as_slice())]
        );
        assert_eq!(read(&weights.to_bytes()).expect("our own form too"), weights);
    }

    #[test]
    fn a_hostile_length_allocates_nothing() {
        let mut bytes = (1u64 << 63).to_le_bytes().to_vec();
        bytes.extend(b"{}");
        assert!(matches!(read(&bytes), Err(SnapshotError::HeaderTooLong(n)) if n == 1 << 63));
        bytes[..8].copy_from_slice(&1000u64.to_le_bytes());
        let truncated = SnapshotError::Truncated { found: 10, expected: 1008 }.to_string();
        assert_eq!(read(&bytes).expect_err("short").to_string(), truncated);
        assert!(matches!(read(b"abc"), Err(SnapshotError::Truncated { found: 3, expected: 8 })));
        let huge = r#"{"a":{"dtype":"F32","shape":[4611686018427387904],"data_offsets":[0,0]}}"#;
        assert!(message(huge, 0).contains("tensor \"a\" has 0 bytes"));
    }

    #[test]
    fn tensors_lie_back_to_back() {
        let two = |begin: u64, end: u64| {
            format!(
                r#"{{"a":{{"dtype":"F32","shape":[2],"data_offsets":[0,8]}},
                    "b":{{"dtype":"F32","shape":[1],"data_offsets":[{begin},{end}]}}}}"#
            )
        };
        assert_eq!(
            message(&two(4, 8), 8),
            "tensor \"b\" begins at byte 4, before \"a\" ends at 8: they overlap"
        );
        assert!(message(&two(12, 16), 16).contains("there is a hole before it"));
        assert!(message(&two(8, 12), 8).starts_with("is truncated: it has "));
        assert_eq!(message(&two(8, 12), 13), "has 1 bytes after its last tensor");
        assert!(message(&two(8, 4), 12).contains("needs another number"));
    }

    #[test]
    fn other_files_are_named() {
        let int = r#"{"a":{"dtype":"I64","shape":[1],"data_offsets":[0,8]}}"#;
        assert_eq!(message(int, 8), "tensor \"a\" has dtype \"I64\"; allowed: F32, F16, BF16");
        assert!(message("[]", 0).contains("no safetensors header"));
        assert!(message(r#"{"a":1}"#, 0).contains("tensor \"a\""));
        let nan =
            Weights::from_flat(vec![TensorShape { name: "a".into(), shape: vec![1] }], vec![1.0]);
        let mut bytes = nan.expect("weights").to_bytes();
        let end = bytes.len();
        bytes[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
        assert!(read(&bytes).expect_err("NaN").to_string().contains("not finite"));
        assert!(matches!(read(b"\x80\x04\x95abc"), Err(SnapshotError::Pickle(_))));
        let missing = read_weights(Path::new("no-such.safetensors"));
        assert!(matches!(missing, Err(SnapshotError::Open(_))));
    }
}
