//! One file, looked at once: its id, its likeness, and its bytes if they are few enough to be held.
//!
//! Invariants: the id and the likeness are of the same bytes; what is too long to be held is hashed
//! piece by piece; all that is held at once fits one room, however many threads look at files. What it
//! is not: a table's rows (see `table`).

use std::fs::File;
use std::io::Read;
use std::path::Path;

use protocol::ContentId;
use protocol::limits::AUDIO_BYTES_MAX;

use consent::fingerprint::{is_audio, is_image};

use crate::likeness::Likeness;
use crate::room::{Piece, Room};

/// Memory for the bytes of files: one of the longest that are held.
static FILES: Room = Room::new(AUDIO_BYTES_MAX as u64);

/// Enough of a file to tell what it is.
const HEAD_BYTES: usize = 4_096;

/// What was seen.
#[derive(Debug)]
pub(crate) struct Seen {
    /// The id of the file's bytes.
    pub content: ContentId,
    /// What it is alike to, or why nobody can tell.
    pub likeness: Result<Likeness, String>,
    /// Its bytes; none if there are too many.
    pub bytes: Option<Vec<u8>>,
    /// The room that those take.
    _room: Piece<'static>,
}

impl Seen {
    /// Looks at a file; an error says why it cannot be read, without the path.
    pub(crate) fn at(path: &Path) -> Result<Self, String> {
        let failed = |error| format!("cannot be read: {error}");
        let mut file = File::open(path).map_err(failed)?;
        let length = file.metadata().map_err(failed)?.len();
        let is_long = length > AUDIO_BYTES_MAX as u64;
        let held = if is_long { HEAD_BYTES as u64 } else { length };
        let room = FILES.take(held);
        // All of it at once, so that there are never two copies of it.
        let mut bytes = Vec::with_capacity(held as usize + 1);
        (&mut file).take(held + 1).read_to_end(&mut bytes).map_err(failed)?;
        if !is_long {
            if bytes.len() as u64 != length {
                return Err("changed while it was read".to_owned());
            }
            let (content, likeness) = (ContentId::of(&bytes), Likeness::of(&bytes));
            return Ok(Self { content, likeness, bytes: Some(bytes), _room: room });
        }
        let mut hasher = blake3::Hasher::new();
        hasher.update(&bytes);
        hasher.update_reader(file).map_err(failed)?;
        let content = ContentId::from_bytes(*hasher.finalize().as_bytes());
        let head = &bytes[..HEAD_BYTES.min(bytes.len())];
        let is_text = !head.contains(&0)
            && str::from_utf8(head).map_or_else(|e| e.error_len().is_none(), |_| true);
        let likeness = if is_image(head) || is_audio(head) || is_text {
            Err(format!("longer than {AUDIO_BYTES_MAX} bytes, the most that is compared"))
        } else {
            Ok(Likeness::default())
        };
        Ok(Self { content, likeness, bytes: None, _room: room })
    }
}
