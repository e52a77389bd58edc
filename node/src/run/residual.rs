//! What a trainer's updates have not said yet, kept for its next update: error feedback that survives a
//! restart.
//!
//! ```text
//! DIR/residuals/RUN.ROUND   blake3 of the rest, 32 bytes; one bfloat16 in little endian a parameter
//! ```
//!
//! Invariants: a round that is trained again starts from what the round before it left, so nothing is sent
//! twice; a file that is damaged or of another size counts as nothing. What it is not: needed for a round
//! to hold, nor exact: half of a float's bits are enough of what is left. Who loses it loses that part of
//! one update.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use protocol::{FileHash, RunId};

/// The residuals of one run.
#[derive(Debug)]
pub(super) struct Residuals {
    dir: PathBuf,
    run: RunId,
}

impl Residuals {
    pub(super) fn new(dir: PathBuf, run: RunId) -> Self {
        Self { dir, run }
    }

    /// What the newest round before `round` left: one value a parameter, zeros if nothing.
    pub(super) fn before(&self, round: u64, parameters: usize) -> Vec<f32> {
        let newest = self.rounds().into_iter().filter(|kept| *kept < round).max();
        newest
            .and_then(|kept| {
                let read = read(&self.path(kept), parameters);
                if read.is_none() {
                    tracing::warn!(round = kept, "what that round left unsaid is lost");
                }
                read
            })
            .unwrap_or_else(|| vec![0.0; parameters])
    }

    /// Keeps what `round` left; what rounds before the last one left goes.
    pub(super) fn keep(&self, round: u64, values: &[f32]) -> io::Result<()> {
        fs::create_dir_all(&self.dir)?;
        let mut bytes = vec![0; 32];
        bytes.extend(to_bytes(values));
        let hash = FileHash::of(&bytes[32..]);
        bytes[..32].copy_from_slice(hash.as_bytes());
        let mut file = tempfile::Builder::new().prefix(".residual-").tempfile_in(&self.dir)?;
        file.write_all(&bytes)?;
        file.persist(self.path(round)).map_err(|error| error.error)?;
        let rounds = self.rounds();
        // This round may be trained again, from what the one before it left.
        let needed = rounds.iter().filter(|kept| **kept < round).max().copied().unwrap_or(0);
        for kept in rounds.into_iter().filter(|kept| *kept < needed) {
            fs::remove_file(self.path(kept))?;
        }
        Ok(())
    }

    fn rounds(&self) -> Vec<u64> {
        let Ok(entries) = fs::read_dir(&self.dir) else { return Vec::new() };
        let prefix = format!("{}.", self.run);
        entries
            .filter_map(|entry| {
                entry.ok()?.file_name().to_str()?.strip_prefix(&prefix)?.parse::<u64>().ok()
            })
            .collect()
    }

    fn path(&self, round: u64) -> PathBuf {
        self.dir.join(format!("{}.{round}", self.run))
    }
}

fn read(path: &Path, parameters: usize) -> Option<Vec<f32>> {
    let bytes = fs::read(path).ok()?;
    let (hash, values) = bytes.split_first_chunk::<32>()?;
    let whole = FileHash::of(values).as_bytes() == hash;
    whole.then(|| from_bytes(values, parameters))?
}

/// The values as they are kept and shown: bfloat16 in little endian.
pub(super) fn to_bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| half(*value).to_le_bytes()).collect()
}

/// Reads untrusted bytes as so many values; nothing if they are another number.
pub(super) fn from_bytes(bytes: &[u8], parameters: usize) -> Option<Vec<f32>> {
    let (values, _) = bytes.as_chunks::<2>();
    let float = |half: &[u8; 2]| f32::from_bits(u32::from(u16::from_le_bytes(*half)) << 16);
    (bytes.len() == 2 * parameters).then(|| values.iter().map(float).collect())
}

/// The upper half of a float's bits, to the nearest, ties to even; residuals are finite.
fn half(value: f32) -> u16 {
    let bits = value.to_bits();
    ((bits + 0x7fff + ((bits >> 16) & 1)) >> 16) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_trained_again_starts_where_it_started() {
        let dir = tempfile::tempdir().expect("a directory");
        let residuals = Residuals::new(dir.path().join("residuals"), RunId::of(b"run"));
        let other = Residuals::new(dir.path().join("residuals"), RunId::of(b"other"));
        assert_eq!(residuals.before(1, 2), [0.0, 0.0]);
        residuals.keep(1, &[1.0, -1.0]).expect("kept");
        other.keep(9, &[9.0, 9.0]).expect("kept");
        residuals.keep(2, &[2.0, -2.0]).expect("kept");
        residuals.keep(2, &[3.0, -3.0]).expect("kept again");
        assert_eq!(residuals.before(2, 2), [1.0, -1.0]);
        assert_eq!(residuals.before(3, 2), [3.0, -3.0]);
        residuals.keep(5, &[5.0, -5.0]).expect("kept");
        assert_eq!(residuals.before(5, 2), [3.0, -3.0]);
        assert_eq!(residuals.rounds().len(), 2, "the first is gone");
        assert_eq!(residuals.before(6, 3), [0.0; 3], "of another model");
        assert_eq!(residuals.before(6, 2), [5.0, -5.0]);
        fs::write(residuals.path(5), [7; 36]).expect("damaged");
        assert_eq!(residuals.before(6, 2), [0.0; 2]);
    }

    #[test]
    fn half_of_a_float_is_near() {
        for at in 0..10_000u32 {
            let value = (at as f32 - 5_000.0) * 1.234e-5;
            let back = f32::from_bits(u32::from(half(value)) << 16);
            assert!((back - value).abs() <= value.abs() / 256.0, "{value} {back}");
        }
    }
}
