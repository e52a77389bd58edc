//! A Parquet file's bytes, as the decoder asks for them.
//!
//! Invariants: a page's header is gone over before the decoder reads it, and neither the page nor what
//! it becomes is larger than `TABLE_PAGES_BYTES_MAX`: the decoder makes room for what a header
//! claims, and of gzip for whatever comes out. What it is not: a cache.

use std::fs::File;
use std::io::{Cursor, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use flate2::read::MultiGzDecoder;
use hyper::body::Bytes;
use parquet::errors::ParquetError;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};
use parquet::file::reader::{ChunkReader, Length};
use protocol::limits::{TABLE_FOOTER_BYTES_MAX, TABLE_PAGES_BYTES_MAX};

use super::thrift::{Misshapen, check_footer, check_page_header};

/// Enough for the header of most pages.
const HEADER_BYTES: u64 = 1 << 10;
/// Enough for any that does not quote its values at length.
const HEADER_BYTES_MAX: u64 = 256 << 10;
/// The end of a file: the footer's length, and the name of the format.
const TAIL_BYTES: u64 = 8;
/// What deflate can make of a byte (RFC 1951: 258 bytes of two bits).
const DEFLATE_RATIO_MAX: u64 = 1_032;

/// A file with its footer.
pub(super) struct Opened {
    file: Arc<Mutex<File>>,
    length: u64,
    pub metadata: ParquetMetaData,
}

impl Opened {
    pub(super) fn at(path: &Path) -> Result<Self, String> {
        let failed = |error: std::io::Error| format!("cannot be opened: {error}");
        let file = File::open(path).map_err(failed)?;
        let length = file.metadata().map_err(failed)?.len();
        let file = Arc::new(Mutex::new(file));
        let source = Source { file: Arc::clone(&file), length, is_gzip: false };
        let footer = super::caught(|| source.footer())?;
        let metadata = super::caught(|| ParquetMetaDataReader::decode_metadata(&footer))?;
        Ok(Self { file, length, metadata })
    }

    /// The bytes, for a column that is compressed by gzip or by something else.
    pub(super) fn source(&self, is_gzip: bool) -> Arc<Source> {
        Arc::new(Source { file: Arc::clone(&self.file), length: self.length, is_gzip })
    }
}

/// See the module.
pub(super) struct Source {
    file: Arc<Mutex<File>>,
    length: u64,
    is_gzip: bool,
}

impl Source {
    /// The footer, gone over.
    fn footer(&self) -> Result<Vec<u8>, ParquetError> {
        let tail_at = self.length.checked_sub(TAIL_BYTES).filter(|at| *at >= 4);
        let tail_at = tail_at.ok_or_else(|| ParquetError::EOF("it is too short".into()))?;
        let tail = self.read(tail_at, TAIL_BYTES)?;
        let (length, name) = tail.split_at(4);
        if name != b"PAR1" {
            return Err(refused("its end does not say that it is one, or it is encrypted"));
        }
        let length = length.iter().rev().fold(0, |length, byte| length << 8 | u64::from(*byte));
        if length > TABLE_FOOTER_BYTES_MAX {
            return Err(refused(&format!(
                "its footer takes {length} bytes, at most {TABLE_FOOTER_BYTES_MAX} are read"
            )));
        }
        let start = tail_at.checked_sub(length);
        let start =
            start.ok_or_else(|| ParquetError::EOF("it is shorter than its footer".into()))?;
        let footer = self.read(start, length)?;
        check_footer(&footer).map_err(|fault| refused(&format!("its footer {fault}")))?;
        Ok(footer)
    }

    fn read(&self, start: u64, length: u64) -> Result<Vec<u8>, ParquetError> {
        let end = start.checked_add(length).filter(|end| *end <= self.length);
        if end.is_none() {
            return Err(ParquetError::EOF(
                "a page is said to be behind the end of the file".into(),
            ));
        }
        let mut bytes = vec![0; length as usize];
        // A panic elsewhere leaves the file at some place, and each reader looks for its own.
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    /// Refuses what becomes more than may be held.
    fn check_inflated(&self, compressed: &[u8]) -> Result<(), ParquetError> {
        if !self.is_gzip || compressed.len() as u64 * DEFLATE_RATIO_MAX <= TABLE_PAGES_BYTES_MAX {
            return Ok(());
        }
        // The decoder finds out itself what does not inflate.
        let mut inflated = MultiGzDecoder::new(compressed).take(TABLE_PAGES_BYTES_MAX + 1);
        match std::io::copy(&mut inflated, &mut std::io::sink()) {
            Ok(bytes) if bytes > TABLE_PAGES_BYTES_MAX => Err(too_large(bytes)),
            _ => Ok(()),
        }
    }
}

impl Length for Source {
    fn len(&self) -> u64 {
        self.length
    }
}

impl ChunkReader for Source {
    type T = Cursor<Vec<u8>>;

    /// The decoder asks so for the header of a page.
    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        let left = self.length.saturating_sub(start);
        for length in [HEADER_BYTES, HEADER_BYTES_MAX] {
            let bytes = self.read(start, length.min(left))?;
            match check_page_header(&bytes) {
                Ok(sizes) => {
                    let larger = sizes.compressed.max(sizes.uncompressed);
                    return if larger > TABLE_PAGES_BYTES_MAX {
                        Err(too_large(larger))
                    } else {
                        Ok(Cursor::new(bytes))
                    };
                }
                Err(Misshapen::Short) if length < left => {}
                Err(fault) => return Err(refused(&format!("the header of a page {fault}"))),
            }
        }
        Err(refused(&format!("the header of a page takes more than {HEADER_BYTES_MAX} bytes")))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        if length as u64 > TABLE_PAGES_BYTES_MAX {
            return Err(too_large(length as u64));
        }
        let bytes = self.read(start, length as u64)?;
        self.check_inflated(&bytes)?;
        Ok(bytes.into())
    }
}

/// An error of ours in a line.
pub(super) fn refused(why: &str) -> ParquetError {
    ParquetError::General(why.to_owned())
}

/// That pages take more memory than they may.
pub(super) fn too_large(bytes: u64) -> ParquetError {
    refused(&format!(
        "its pages take {bytes} bytes of memory or more, at most {TABLE_PAGES_BYTES_MAX} are given"
    ))
}
