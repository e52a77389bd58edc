//! A file of frames that only grows: each a length, the bytes, and the start of their hash.
//!
//! ```text
//! length 4 (little endian), bytes, the first 8 bytes of blake3(length, bytes)
//! ```
//!
//! Invariants: what was appended and synced is read again, in order; what a crash left half written
//! at the end is cut off, and kept in a file beside it; where sound frames follow what is damaged,
//! nothing is cut. After an append has failed every later one fails, as nobody knows what the disk
//! holds. What it is not: typed.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, PoisonError};

use super::batch::{Batch, Reading};

pub(super) const LENGTH_BYTES: usize = 4;
pub(super) const CHECK_BYTES: usize = 8;
/// What a frame has beside its bytes.
pub(super) const FRAME_BYTES: u64 = (LENGTH_BYTES + CHECK_BYTES) as u64;
/// Batches read before somebody asks for them.
const BATCHES_AHEAD: usize = 4;

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
    /// `each`, batch after batch; `each` says how many it took. What follows the last that it took
    /// is cut off, unless sound frames follow something damaged, which is an error.
    pub(super) fn open(
        path: &Path,
        from: u64,
        bytes_max: usize,
        mut each: impl FnMut(&Batch) -> usize,
    ) -> io::Result<Self> {
        let mut file = OpenOptions::new().read(true).append(true).create(true).open(path)?;
        let mut reading = Reading::new(File::open(path)?, from, bytes_max)?;
        let (batches, mut end, mut refused) = (sync_channel(BATCHES_AHEAD), from, false);
        let (sender, receiver) = batches;
        std::thread::scope(|scope| {
            // The next batch is read and checked while this one is taken.
            let reader = scope.spawn(|| -> io::Result<()> {
                while let Some(batch) = reading.batch()? {
                    if sender.send(batch).is_err() {
                        break;
                    }
                }
                drop(sender);
                Ok(())
            });
            for batch in receiver {
                let taken = each(&batch);
                end = batch.place(taken);
                refused = taken < batch.len();
                if refused {
                    break;
                }
            }
            reader.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })?;
        let length = file.metadata()?.len();
        if length > end {
            if !refused && let Some(sound) = reading.sound_after(end)? {
                let why = format!(
                    "damaged at byte {end}, while what follows from byte {sound} on is sound; \
                     nothing was changed; put back a good copy, or move the file away so that \
                     peers are asked for all of it again"
                );
                return Err(io::Error::new(io::ErrorKind::InvalidData, why));
            }
            cut(&mut file, path, end)?;
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

/// Cuts off what follows `end`, and keeps it beside the file: should it ever be more than a torn end,
/// somebody can look.
fn cut(file: &mut File, path: &Path, end: u64) -> io::Result<()> {
    file.seek(SeekFrom::Start(end))?;
    let mut kept = File::create(path.with_extension("cut"))?;
    io::copy(file, &mut kept)?;
    kept.sync_all()?;
    tracing::warn!(path = %path.display(), end, "cut off what was half written");
    file.set_len(end)?;
    file.sync_all()
}

pub(super) fn check(length: [u8; LENGTH_BYTES], bytes: &[u8]) -> [u8; CHECK_BYTES] {
    let hash = blake3::Hasher::new().update(&length).update(bytes).finalize();
    *hash.as_bytes().first_chunk().expect("a hash has 32 bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(path: &Path) -> (Frames, Vec<Vec<u8>>) {
        let mut read = Vec::new();
        let frames = Frames::open(path, 0, 100, |batch| {
            read.extend(batch.frames().map(|(_, bytes)| bytes.to_vec()));
            batch.len()
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

        // A flipped bit before sound frames is told and changes nothing; in the last it ends what
        // is read, and is kept.
        for (at, is_last) in [(0, false), (5, false), (20, false), (bytes.len() - 3, true)] {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1;
            std::fs::write(&path, &flipped).expect("written");
            match Frames::open(&path, 0, 100, Batch::len) {
                Ok(frames) => assert!(is_last && frames.end() == whole, "{at}"),
                Err(error) => assert!(!is_last && error.to_string().contains("damaged"), "{error}"),
            }
            let kept = if is_last { &flipped[..whole as usize] } else { &flipped[..] };
            assert_eq!(std::fs::read(&path).expect("read"), kept);
        }
        let cut = std::fs::read(path.with_extension("cut")).expect("kept");
        assert_eq!(cut.len(), bytes.len() - whole as usize);
    }

    #[test]
    fn what_is_not_taken_is_cut_off_even_if_it_is_sound() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("frames");
        let (mut frames, _) = opened(&path);
        frames.append([b"one".as_slice(), b"two", b"three"], true).expect("written");
        let frames = Frames::open(&path, 0, 100, |_| 2).expect("opened");
        assert_eq!(frames.end(), 2 * (FRAME_BYTES + 3));
        assert_eq!(opened(&path).1, [b"one", b"two"]);
    }

    #[test]
    fn many_batches_come_in_order() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("frames");
        let wanted: Vec<Vec<u8>> =
            (0..40_000_u32).map(|n| [n.to_le_bytes().as_slice(), &[7; 60]].concat()).collect();
        let (mut frames, _) = opened(&path);
        frames.append(wanted.iter().map(Vec::as_slice), false).expect("written");
        let mut batches = 0;
        let mut read = Vec::new();
        Frames::open(&path, 0, 100, |batch| {
            batches += 1;
            read.extend(batch.frames().map(|(_, bytes)| bytes.to_vec()));
            batch.len()
        })
        .expect("opened");
        assert!(batches > 3 && read == wanted, "{batches} batches");
    }
}
