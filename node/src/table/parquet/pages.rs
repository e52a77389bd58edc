//! The pages of one column, looked at between the decoder's two halves: unpacked, and not yet taken
//! apart.
//!
//! Invariants: the pages that columns hold at one time, with all that they become in memory, take
//! `TABLE_PAGES_BYTES_MAX` at most, however many columns there are; lists have at most
//! `TABLE_LEVELS_MAX` elements at one time; encodings are those of Parquet's standard, for the types
//! that they are for. What it is not: a look at the values.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hyper::body::Bytes;
use parquet::basic::{Encoding, Type};
use parquet::column::page::{Page, PageMetadata, PageReader};
use parquet::data_type::ByteArray;
use parquet::errors::ParquetError;
use parquet::file::reader::SerializedPageReader;
use parquet::schema::types::ColumnDescriptor;
use protocol::limits::{TABLE_LEVELS_MAX, TABLE_PAGES_BYTES_MAX};

use super::delta;
use super::source::{Source, refused, too_large};

/// What all columns of a file hold.
#[derive(Debug, Default)]
pub(super) struct Held {
    /// Bytes of pages and of what is made of them.
    bytes: AtomicU64,
    /// Elements of lists, nulls included.
    levels: AtomicU64,
}

impl Held {
    fn add(&self, bytes: u64) -> Result<(), ParquetError> {
        let all = self.bytes.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        if all > TABLE_PAGES_BYTES_MAX { Err(too_large(all)) } else { Ok(()) }
    }
}

/// What one column holds. Its reader says when it has let go of values.
#[derive(Debug)]
pub(super) struct Hold {
    held: Arc<Held>,
    dictionary: AtomicU64,
    /// The newest data page.
    page: AtomicU64,
    /// Data pages before it of which values may be held.
    before: AtomicU64,
    levels: AtomicU64,
}

impl Hold {
    pub(super) fn new(held: Arc<Held>) -> Arc<Self> {
        Arc::new(Self {
            held,
            dictionary: AtomicU64::new(0),
            page: AtomicU64::new(0),
            before: AtomicU64::new(0),
            levels: AtomicU64::new(0),
        })
    }

    /// No values of pages before the newest are held any more.
    pub(super) fn let_go(&self) {
        let before = self.before.swap(0, Ordering::Relaxed);
        self.held.bytes.fetch_sub(before, Ordering::Relaxed);
        let levels = self.levels.swap(0, Ordering::Relaxed);
        self.held.levels.fetch_sub(levels, Ordering::Relaxed);
    }

    fn dictionary(&self, bytes: u64) -> Result<(), ParquetError> {
        self.dictionary.fetch_add(bytes, Ordering::Relaxed);
        self.held.add(bytes)
    }

    fn page(&self, bytes: u64) -> Result<(), ParquetError> {
        let before = self.page.swap(bytes, Ordering::Relaxed);
        self.before.fetch_add(before, Ordering::Relaxed);
        self.held.add(bytes)
    }

    fn levels(&self, levels: u64) -> Result<(), ParquetError> {
        self.levels.fetch_add(levels, Ordering::Relaxed);
        let all = self.held.levels.fetch_add(levels, Ordering::Relaxed).saturating_add(levels);
        if all > TABLE_LEVELS_MAX {
            return Err(refused(&format!(
                "a page has lists of {all} elements, at most {TABLE_LEVELS_MAX} are held"
            )));
        }
        Ok(())
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.let_go();
        let bytes = *self.page.get_mut() + *self.dictionary.get_mut();
        self.held.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// See the module.
pub(super) struct Pages {
    pages: SerializedPageReader<Source>,
    kind: Type,
    /// Whether levels of lists and of nulls come before the values.
    levels: [bool; 2],
    hold: Arc<Hold>,
}

impl Pages {
    pub(super) fn new(
        pages: SerializedPageReader<Source>,
        column: &ColumnDescriptor,
        hold: Arc<Hold>,
    ) -> Self {
        let levels = [column.max_rep_level() > 0, column.max_def_level() > 0];
        Self { pages, kind: column.physical_type(), levels, hold }
    }

    fn check(&self, page: &Page) -> Result<(), ParquetError> {
        let (bytes, count) = (page.buffer().len() as u64, u64::from(page.num_values()));
        if let Page::DictionaryPage { .. } = page {
            if count > bytes {
                return Err(refused("a dictionary has more values than bytes"));
            }
            return self.hold.dictionary(bytes + count * size_of::<ByteArray>() as u64);
        }
        if self.levels[0] {
            self.hold.levels(count)?;
        }
        let made = match page.encoding() {
            encoding @ (Encoding::DELTA_LENGTH_BYTE_ARRAY | Encoding::DELTA_BYTE_ARRAY) => {
                self.made_of_lengths(encoding, page, count)?
            }
            encoding if is_for(encoding, self.kind) => 0,
            encoding => {
                return Err(refused(&format!("{encoding} is no encoding of {}", self.kind)));
            }
        };
        self.hold.page(bytes.saturating_add(made))
    }

    /// What a page whose values' lengths come first becomes: the decoder makes room for as many as
    /// those claim to be.
    fn made_of_lengths(
        &self,
        encoding: Encoding,
        page: &Page,
        count: u64,
    ) -> Result<u64, ParquetError> {
        let wrong = || refused("a page's lengths are not those of its values");
        let values = self.values(page).ok_or_else(wrong)?;
        match (encoding, self.kind) {
            (Encoding::DELTA_LENGTH_BYTE_ARRAY, Type::BYTE_ARRAY) => {
                let lengths = delta::count(&values).filter(|lengths| *lengths <= count);
                Ok(lengths.ok_or_else(wrong)? * size_of::<i32>() as u64)
            }
            (Encoding::DELTA_BYTE_ARRAY, Type::BYTE_ARRAY | Type::FIXED_LEN_BYTE_ARRAY) => {
                let count = count.min(TABLE_PAGES_BYTES_MAX / 16) as usize;
                let (prefixes, rest) = delta::lengths(&values, count).ok_or_else(wrong)?;
                let (suffixes, _) = delta::lengths(rest, prefixes.len()).ok_or_else(wrong)?;
                let all = prefixes.iter().chain(&suffixes).map(|length| u64::from(*length));
                Ok(all.sum::<u64>() + 2 * size_of::<u32>() as u64 * prefixes.len() as u64)
            }
            _ => Err(refused(&format!("{encoding} is no encoding of {}", self.kind))),
        }
    }

    /// The bytes behind a page's levels.
    fn values(&self, page: &Page) -> Option<Bytes> {
        match page {
            Page::DataPage { buf, def_level_encoding, rep_level_encoding, .. } => {
                let mut at = 0usize;
                for (there, encoding) in
                    self.levels.iter().zip([rep_level_encoding, def_level_encoding])
                {
                    if !there {
                        continue;
                    }
                    // Nobody writes the older encoding of levels together with those of lengths.
                    let length =
                        buf.get(at..)?.first_chunk::<4>().filter(|_| *encoding == Encoding::RLE)?;
                    at = at.checked_add(4)?.checked_add(u32::from_le_bytes(*length) as usize)?;
                }
                (at <= buf.len()).then(|| buf.slice(at..))
            }
            Page::DataPageV2 { buf, def_levels_byte_len, rep_levels_byte_len, .. } => {
                let at = def_levels_byte_len.checked_add(*rep_levels_byte_len)? as usize;
                (at <= buf.len()).then(|| buf.slice(at..))
            }
            Page::DictionaryPage { .. } => None,
        }
    }
}

/// Whether an encoding is one for values of a type (`Encodings.md`), and one that makes no more of a
/// page than its values.
fn is_for(encoding: Encoding, kind: Type) -> bool {
    use Encoding::{
        BYTE_STREAM_SPLIT, DELTA_BINARY_PACKED, PLAIN, PLAIN_DICTIONARY, RLE, RLE_DICTIONARY,
    };
    match encoding {
        PLAIN => true,
        PLAIN_DICTIONARY | RLE_DICTIONARY => kind != Type::BOOLEAN,
        RLE => kind == Type::BOOLEAN,
        DELTA_BINARY_PACKED => matches!(kind, Type::INT32 | Type::INT64),
        BYTE_STREAM_SPLIT => matches!(
            kind,
            Type::INT32 | Type::INT64 | Type::FLOAT | Type::DOUBLE | Type::FIXED_LEN_BYTE_ARRAY
        ),
        _ => false,
    }
}

impl Iterator for Pages {
    type Item = Result<Page, ParquetError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.get_next_page().transpose()
    }
}

impl PageReader for Pages {
    fn get_next_page(&mut self) -> Result<Option<Page>, ParquetError> {
        let page = self.pages.get_next_page()?;
        page.iter().try_for_each(|page| self.check(page))?;
        Ok(page)
    }

    fn peek_next_page(&mut self) -> Result<Option<PageMetadata>, ParquetError> {
        self.pages.peek_next_page()
    }

    fn skip_next_page(&mut self) -> Result<(), ParquetError> {
        self.pages.skip_next_page()
    }

    fn at_record_boundary(&mut self) -> Result<bool, ParquetError> {
        self.pages.at_record_boundary()
    }
}
