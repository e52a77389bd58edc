//! What is known of the items between the passes: on disk, in a file without a name.
//!
//! Invariants: memory holds one batch; the file is gone when the scan is, however it ends. What it
//! is not: kept, or read by anyone else.
//!
//! ```text
//! item    u32 bytes behind this, u8 alike or not, place, licence, state
//! place   u8 0, u64 file | u8 1, u64 file, u64 row | u8 2, text
//! licence u8 0 | u8 1, text
//! state   u8 0, text why unreadable | u8 1, list of works, list of words
//! work    content id, list of (u8, code), list of u64 passages, list of keys, list of texts
//! word    text, text
//! list    u32 count, each; text: u32 bytes, UTF-8; numbers little endian
//! ```

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};

use protocol::limits::{SCAN_BATCH_ALIKE, SCAN_BATCH_BYTES_MAX, SCAN_BATCH_ITEMS};
use protocol::{ContentId, PublicKey};

use super::item::{Item, Known, Place, State, Word};

/// Bytes before an item's own: their count, and whether it is alike to others.
const HEAD_BYTES: usize = 5;

/// Items put aside, in order.
#[derive(Debug)]
pub(super) struct Spool {
    file: BufWriter<File>,
    items: u64,
}

impl Spool {
    pub(super) fn new() -> io::Result<Self> {
        let file = BufWriter::with_capacity(1 << 20, tempfile::tempfile()?);
        Ok(Self { file, items: 0 })
    }

    /// How many items there are.
    pub(super) const fn len(&self) -> u64 {
        self.items
    }

    /// Puts so many items aside that [`encode`] wrote behind each other.
    pub(super) fn add(&mut self, items: &[u8], count: u64) -> io::Result<()> {
        self.items += count;
        self.file.write_all(items)
    }

    /// Reads them again from the first.
    pub(super) fn read(&mut self) -> io::Result<Reading<'_>> {
        self.file.flush()?;
        let file = self.file.get_mut();
        file.seek(SeekFrom::Start(0))?;
        let file = BufReader::with_capacity(1 << 20, file);
        Ok(Reading { file, left: self.items, bytes: Vec::new(), frames: Vec::new() })
    }
}

/// A pass over the items.
#[derive(Debug)]
pub(super) struct Reading<'a> {
    file: BufReader<&'a mut File>,
    left: u64,
    bytes: Vec<u8>,
    frames: Vec<Frame>,
}

/// An item of a batch.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame {
    start: usize,
    end: usize,
    /// Whether the gate may find claims of likeness about it.
    pub alike: bool,
}

/// Some items, as they were put aside.
#[derive(Debug, Clone, Copy)]
pub(super) struct Batch<'a> {
    bytes: &'a [u8],
    /// Each of them.
    pub frames: &'a [Frame],
}

impl Reading<'_> {
    /// The next items; none at the end.
    pub(super) fn batch(&mut self) -> io::Result<Batch<'_>> {
        self.bytes.clear();
        self.frames.clear();
        let mut weight = 0;
        while self.left > 0 && weight < SCAN_BATCH_ITEMS && self.bytes.len() < SCAN_BATCH_BYTES_MAX
        {
            let mut head = [0; HEAD_BYTES];
            self.file.read_exact(&mut head)?;
            let [length @ .., alike] = head;
            let (start, alike) = (self.bytes.len(), alike != 0);
            let end = start + u32::from_le_bytes(length) as usize;
            self.bytes.resize(end, 0);
            self.file.read_exact(&mut self.bytes[start..])?;
            self.frames.push(Frame { start, end, alike });
            weight += if alike { SCAN_BATCH_ALIKE } else { 1 };
            self.left -= 1;
        }
        Ok(Batch { bytes: &self.bytes, frames: &self.frames })
    }
}

impl Batch<'_> {
    /// An item of the batch.
    pub(super) fn item(&self, frame: Frame) -> io::Result<Item> {
        let mut reader = Reader(&self.bytes[frame.start..frame.end]);
        reader.item().ok_or_else(|| io::Error::other("an item was put aside wrongly"))
    }
}

/// Writes an item behind others.
pub(super) fn encode(item: &Item, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend([0; HEAD_BYTES]);
    match &item.place {
        Place::File(file) => {
            out.push(0);
            out.extend((*file as u64).to_le_bytes());
        }
        Place::Row(file, row) => {
            out.push(1);
            out.extend((*file as u64).to_le_bytes());
            out.extend(row.to_le_bytes());
        }
        Place::Said(said) => {
            out.push(2);
            put_text(said, out);
        }
    }
    out.push(u8::from(item.licence.is_some()));
    item.licence.iter().for_each(|licence| put_text(licence, out));
    let mut alike = false;
    match &item.state {
        State::Unreadable(why) => {
            out.push(0);
            put_text(why, out);
        }
        State::Read(works, words) => {
            alike = works.iter().any(Known::is_alike);
            out.push(1);
            put_list(works, out, put_work);
            put_list(words, out, |word, out| {
                put_text(&word.scheme, out);
                put_text(&word.term, out);
            });
        }
    }
    // An item is bounded by the batch that it came in: some tens of MiB.
    let length = u32::try_from(out.len() - start - HEAD_BYTES).expect("an item is below 4 GiB");
    out[start..start + 4].copy_from_slice(&length.to_le_bytes());
    out[start + 4] = u8::from(alike);
}

fn put_count(count: usize, out: &mut Vec<u8>) {
    let count = u32::try_from(count).expect("what is known of an item is below 4 GiB");
    out.extend(count.to_le_bytes());
}

fn put_list<T>(list: &[T], out: &mut Vec<u8>, put: impl Fn(&T, &mut Vec<u8>)) {
    put_count(list.len(), out);
    list.iter().for_each(|each| put(each, out));
}

fn put_text(text: &str, out: &mut Vec<u8>) {
    put_count(text.len(), out);
    out.extend(text.as_bytes());
}

fn put_work(work: &Known, out: &mut Vec<u8>) {
    out.extend(work.content.as_bytes());
    put_list(&work.codes, out, |(kind, code), out| {
        out.push(*kind);
        out.extend(code);
    });
    put_list(&work.passages, out, |passage, out| out.extend(passage.to_le_bytes()));
    put_list(&work.makers, out, |maker, out| out.extend(maker.as_bytes()));
    put_list(&work.addresses, out, |address, out| put_text(address, out));
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn bytes<const COUNT: usize>(&mut self) -> Option<[u8; COUNT]> {
        let (bytes, rest) = self.0.split_first_chunk::<COUNT>()?;
        self.0 = rest;
        Some(*bytes)
    }

    fn byte(&mut self) -> Option<u8> {
        self.bytes().map(|[byte]| byte)
    }

    fn number(&mut self) -> Option<u64> {
        self.bytes().map(u64::from_le_bytes)
    }

    fn text(&mut self) -> Option<String> {
        let length = u32::from_le_bytes(self.bytes()?) as usize;
        let (text, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        str::from_utf8(text).ok().map(str::to_owned)
    }

    fn list<T>(&mut self, mut each: impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let count = u32::from_le_bytes(self.bytes()?);
        (0..count).map(|_| each(self)).collect()
    }

    fn item(&mut self) -> Option<Item> {
        let place = match self.byte()? {
            0 => Place::File(self.number()? as usize),
            1 => Place::Row(self.number()? as usize, self.number()?),
            _ => Place::Said(self.text()?),
        };
        let licence = if self.byte()? == 1 { Some(self.text()?) } else { None };
        let state = if self.byte()? == 0 {
            State::Unreadable(self.text()?)
        } else {
            let words =
                |reader: &mut Self| Some(Word { scheme: reader.text()?, term: reader.text()? });
            State::Read(self.list(Self::work)?, self.list(words)?)
        };
        self.0.is_empty().then_some(Item { place, licence, state })
    }

    fn work(&mut self) -> Option<Known> {
        Some(Known {
            content: ContentId::from_bytes(self.bytes()?),
            codes: self.list(|reader| Some((reader.byte()?, reader.bytes()?)))?,
            passages: self.list(Self::number)?,
            makers: self.list(|reader| PublicKey::from_bytes(reader.bytes()?).ok())?,
            addresses: self.list(Self::text)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(items: &[Item]) -> Vec<(Item, bool)> {
        let mut spool = Spool::new().expect("a file");
        let mut bytes = Vec::new();
        items.iter().for_each(|item| encode(item, &mut bytes));
        spool.add(&bytes, items.len() as u64).expect("put aside");
        let (mut all, mut reading) = (Vec::new(), spool.read().expect("read"));
        loop {
            let batch = reading.batch().expect("read");
            if batch.frames.is_empty() {
                return all;
            }
            let item = |frame: &Frame| (batch.item(*frame).expect("whole"), frame.alike);
            all.extend(batch.frames.iter().map(item));
        }
    }

    #[test]
    fn items_come_back_as_they_were() {
        let maker = protocol::SecretKey::from_seed(&[3; 32]).public();
        let content = ContentId::of(b"work");
        let plain = Known { content, ..Known::of(content) };
        let full = Known {
            content,
            codes: vec![(2, [7; 32]), (0, [8; 32])],
            passages: vec![1, u64::MAX],
            makers: vec![maker],
            addresses: vec!["https://example.org/ü".to_owned()],
        };
        let word = Word { scheme: "tdmrep".to_owned(), term: String::new() };
        let read_as = |works: Vec<Known>, words| State::Read(works, words);
        let items = [
            (Place::File(7), None, State::Unreadable("why".to_owned())),
            (Place::Row(1, 1 << 40), Some("cc0".to_owned()), read_as(vec![plain], vec![])),
            (Place::Said("a/b".to_owned()), Some(String::new()), read_as(vec![full], vec![word])),
        ];
        let items = items.map(|(place, licence, state)| Item { place, licence, state });
        let back = read(&items);
        assert_eq!(back.iter().map(|(_, alike)| *alike).collect::<Vec<_>>(), [false, false, true]);
        assert!(back.iter().map(|(item, _)| item).eq(&items), "{back:?}");
    }

    #[test]
    fn items_that_are_alike_come_in_smaller_batches() {
        let content = ContentId::of(b"work");
        let alike = Known { passages: vec![1], ..Known::of(content) };
        let item = |works| Item {
            place: Place::File(0),
            licence: None,
            state: State::Read(works, Vec::new()),
        };
        for (works, count) in [
            (vec![Known::of(content)], SCAN_BATCH_ITEMS),
            (vec![alike], SCAN_BATCH_ITEMS / SCAN_BATCH_ALIKE),
        ] {
            let mut bytes = Vec::new();
            encode(&item(works), &mut bytes);
            let mut spool = Spool::new().expect("a file");
            (0..SCAN_BATCH_ITEMS + 1).for_each(|_| spool.add(&bytes, 1).expect("put aside"));
            let mut reading = spool.read().expect("read");
            assert_eq!(reading.batch().expect("read").frames.len(), count);
        }
    }
}
