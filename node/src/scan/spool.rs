//! Items between the passes of a scan, in a file without a name.
//!
//! Invariants: memory holds one batch; the file is gone when the scan is, however it ends. What it
//! is not: kept, or read by anyone else.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};

use protocol::codec;
use protocol::limits::{SCAN_BATCH_BYTES_MAX, SCAN_BATCH_ITEMS, SCAN_ITEM_BYTES_MAX};
use rayon::prelude::*;

use super::item::Item;

/// Items put aside, in order.
#[derive(Debug)]
pub(super) struct Spool {
    file: BufWriter<File>,
    items: u64,
}

impl Spool {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self { file: BufWriter::new(tempfile::tempfile()?), items: 0 })
    }

    /// How many items there are.
    pub(super) const fn len(&self) -> u64 {
        self.items
    }

    /// Puts encoded items aside.
    pub(super) fn add(&mut self, items: &[Vec<u8>]) -> io::Result<()> {
        for item in items {
            let length = u32::try_from(item.len()).map_err(io::Error::other)?;
            self.file.write_all(&length.to_le_bytes())?;
            self.file.write_all(item)?;
        }
        self.items += items.len() as u64;
        Ok(())
    }

    /// Reads them again from the first.
    pub(super) fn read(&mut self) -> io::Result<Reading<'_>> {
        self.file.flush()?;
        let file = self.file.get_mut();
        file.seek(SeekFrom::Start(0))?;
        Ok(Reading { file: BufReader::with_capacity(1 << 20, file), left: self.items })
    }
}

/// An item as it is put aside.
pub(super) fn encode(item: &Item) -> Vec<u8> {
    codec::encode(item)
}

/// A pass over the items.
#[derive(Debug)]
pub(super) struct Reading<'a> {
    file: BufReader<&'a mut File>,
    left: u64,
}

impl Reading<'_> {
    /// The next items; none at the end.
    pub(super) fn batch(&mut self) -> io::Result<Vec<Item>> {
        let (mut frames, mut bytes) = (Vec::new(), 0);
        while self.left > 0 && frames.len() < SCAN_BATCH_ITEMS && bytes < SCAN_BATCH_BYTES_MAX {
            let mut length = [0; 4];
            self.file.read_exact(&mut length)?;
            let mut frame = vec![0; u32::from_le_bytes(length) as usize];
            self.file.read_exact(&mut frame)?;
            bytes += frame.len();
            frames.push(frame);
            self.left -= 1;
        }
        frames
            .par_iter()
            .map(|frame| codec::decode(frame, SCAN_ITEM_BYTES_MAX).map_err(io::Error::other))
            .collect()
    }
}
