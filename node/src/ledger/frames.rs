//! A file of frames that only grows: each a length, the bytes, and the start of their hash.
//!
//! ```text
//! length 4 (little endian), bytes, the first 8 bytes of blake3(length, bytes)
//! ```
//!
//! Invariants: what was appended and synced is read again, in order; what a crash left half written
//! at the end is cut off, and kept in a file beside it. After an append has failed every later one fails, as nobody knows what the
//! disk holds. What it is not: typed.

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

const LENGTH_BYTES: usize = 4;
const CHECK_BYTES: usize = 8;
/// What a frame has beside its bytes.
pub(super) const FRAME_BYTES: u64 = (LENGTH_BYTES + CHECK_BYTES) as u64;
/// Read at once.
const BUFFER_BYTES: usize = 1 << 20;

/// The file.
#[derive(Debug)]
pub(super) struct Frames {
    file: File,
    reader: FrameReader,
    end: u64,
    failed: bool,
}

/// Where a frame stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FramePlace {
    /// Its first byte.
    pub(super) at: u64,
    /// How many bytes it holds, without those of the frame.
    pub(super) bytes: usize,
}

/// Reads frames while others are appended; cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct FrameReader(Arc<Mutex<File>>);

impl Frames {
    /// Opens the file, made if it is not there, and hands every whole frame from `from` on to
    /// `each`, which says whether to go on; what follows the last that it took is cut off.
    pub(super) fn open(
        path: &Path,
        from: u64,
        bytes_max: usize,
        mut each: impl FnMut(u64, &[u8]) -> bool,
    ) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).append(true).create(true).open(path)?;
        let mut reader = BufReader::with_capacity(BUFFER_BYTES, &file);
        reader.seek(SeekFrom::Start(from))?;
        let (mut end, mut bytes) = (from, Vec::new());
        while read_frame(&mut reader, bytes_max, &mut bytes)? && each(end, &bytes) {
            end += bytes.len() as u64 + FRAME_BYTES;
        }
        if file.metadata()?.len() > end {
            // Kept beside it: should it ever be more than a torn end, somebody can look.
            let mut cut = Vec::new();
            (&file).seek(SeekFrom::Start(end))?;
            (&file).read_to_end(&mut cut)?;
            std::fs::write(path.with_extension("cut"), cut)?;
            tracing::warn!(path = %path.display(), end, "cut off what was half written");
            file.set_len(end)?;
            file.sync_all()?;
        }
        let reader = FrameReader(Arc::new(Mutex::new(File::open(path)?)));
        Ok(Self { file, reader, end, failed: false })
    }

    /// Where the next frame will stand.
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    /// Appends frames in one write; durable on return if `sync`.
    pub(super) fn append<'a>(
        &mut self,
        frames: impl IntoIterator<Item = &'a [u8]>,
        sync: bool,
    ) -> io::Result<()> {
        if self.failed {
            return Err(io::Error::other("an earlier write failed"));
        }
        let mut buffer = Vec::new();
        for bytes in frames {
            let length = u32::try_from(bytes.len()).map_err(io::Error::other)?.to_le_bytes();
            buffer.extend(length);
            buffer.extend(bytes);
            buffer.extend(check(length, bytes));
        }
        let file = &mut self.file;
        let written =
            file.write_all(&buffer).and_then(|()| if sync { file.sync_data() } else { Ok(()) });
        match &written {
            Ok(()) => self.end += buffer.len() as u64,
            Err(_) => self.failed = true,
        }
        written
    }

    /// What reads frames that were given or appended.
    pub(super) fn reader(&self) -> FrameReader {
        self.reader.clone()
    }
}

impl FrameReader {
    /// Hands the bytes of these frames to `each`, in this order; neighbours are read at once.
    pub(super) fn read(
        &self,
        places: &[FramePlace],
        mut each: impl FnMut(&[u8]),
    ) -> io::Result<()> {
        let mut buffer = Vec::new();
        let follows = |a: &FramePlace, b: &FramePlace| a.end() == b.at;
        for run in places.chunk_by(follows) {
            let (Some(first), Some(last)) = (run.first(), run.last()) else { continue };
            buffer.resize((last.end() - first.at) as usize, 0);
            {
                // No write depends on where this handle stands.
                let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
                file.seek(SeekFrom::Start(first.at))?;
                file.read_exact(&mut buffer)?;
            }
            for place in run {
                let start = (place.at - first.at) as usize;
                let frame = &buffer[start..start + place.bytes + FRAME_BYTES as usize];
                each(unframed(frame).ok_or_else(damaged)?);
            }
        }
        Ok(())
    }
}

impl FramePlace {
    fn end(&self) -> u64 {
        self.at + self.bytes as u64 + FRAME_BYTES
    }
}

fn damaged() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "a record in the log is damaged")
}

/// The bytes in a whole and sound frame.
fn unframed(frame: &[u8]) -> Option<&[u8]> {
    let (length, rest) = frame.split_first_chunk::<LENGTH_BYTES>()?;
    let (bytes, found) = rest.split_last_chunk::<CHECK_BYTES>()?;
    let is_whole = u32::from_le_bytes(*length) as usize == bytes.len();
    (is_whole && *found == check(*length, bytes)).then_some(bytes)
}

/// Reads the next frame into `bytes`; false if there is no whole and sound one.
fn read_frame(reader: &mut impl Read, bytes_max: usize, bytes: &mut Vec<u8>) -> io::Result<bool> {
    let mut length = [0; LENGTH_BYTES];
    if !fill(reader, &mut length)? {
        return Ok(false);
    }
    let count = u32::from_le_bytes(length) as usize;
    if count > bytes_max {
        return Ok(false);
    }
    bytes.resize(count, 0);
    let mut found = [0; CHECK_BYTES];
    Ok(fill(reader, bytes)? && fill(reader, &mut found)? && found == check(length, bytes))
}

/// Reads exactly so many bytes; false if there are fewer.
fn fill(reader: &mut impl Read, bytes: &mut [u8]) -> io::Result<bool> {
    match reader.read_exact(bytes) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

fn check(length: [u8; LENGTH_BYTES], bytes: &[u8]) -> [u8; CHECK_BYTES] {
    let hash = blake3::Hasher::new().update(&length).update(bytes).finalize();
    *hash.as_bytes().first_chunk().expect("a hash has 32 bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(path: &Path) -> (Frames, Vec<Vec<u8>>) {
        let mut read = Vec::new();
        let frames = Frames::open(path, 0, 100, |_, bytes| {
            read.push(bytes.to_vec());
            true
        });
        (frames.expect("opened"), read)
    }

    #[test]
    fn what_was_appended_is_read_and_a_torn_end_is_cut_off() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("frames");
        let (mut frames, read) = opened(&path);
        assert!(read.is_empty());
        let written = [b"one".as_slice(), b"", b"three"];
        frames.append(written, true).expect("written");
        let whole = frames.end();
        frames.append([b"four".as_slice()], true).expect("written");
        let place = |at, bytes| FramePlace { at, bytes };
        let mut read = Vec::new();
        let wanted = [place(whole, 4), place(0, 3), place(15, 0), place(27, 5)];
        frames.reader().read(&wanted, |bytes| read.push(bytes.to_vec())).expect("read");
        assert_eq!(read, [b"four".as_slice(), b"one", b"", b"three"]);
        assert!(frames.reader().read(&[place(0, 4)], |_| ()).is_err(), "another length");
        drop(frames);

        // Wherever the last write was torn, what came before is there and can be added to.
        let bytes = std::fs::read(&path).expect("read");
        for cut in whole as usize..bytes.len() {
            std::fs::write(&path, &bytes[..cut]).expect("written");
            let (mut frames, read) = opened(&path);
            assert_eq!(read, written);
            assert_eq!(frames.end(), whole);
            frames.append([b"again".as_slice()], true).expect("written");
            assert_eq!(opened(&path).1.last().expect("there"), b"again");
        }

        // A flipped bit ends what is read, and a length beyond the bound is none.
        let mut flipped = bytes.clone();
        flipped[5] ^= 1;
        std::fs::write(&path, &flipped).expect("written");
        assert!(opened(&path).1.is_empty());
    }
}
