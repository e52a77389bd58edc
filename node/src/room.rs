//! Room in memory for what several threads do at once.
//!
//! Role: whoever is about to take much memory for a while takes its room first, and waits until others
//! have given back theirs.
//!
//! Invariants: all together have no more than there is; one who asks for more than there is gets all
//! of it, alone. Nobody may ask for room of a kind while having some of it. What it is not: fair. A
//! large piece waits until small ones leave enough.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// See the module.
#[derive(Debug)]
pub(crate) struct Room {
    bytes: u64,
    left: Mutex<u64>,
    given_back: Condvar,
}

/// A piece of room; given back when dropped.
#[derive(Debug)]
pub(crate) struct Piece<'a> {
    room: &'a Room,
    bytes: u64,
}

impl Room {
    /// So many bytes.
    pub(crate) const fn new(bytes: u64) -> Self {
        Self { bytes, left: Mutex::new(bytes), given_back: Condvar::new() }
    }

    /// Waits for so many bytes of it.
    pub(crate) fn take(&self, bytes: u64) -> Piece<'_> {
        let bytes = bytes.min(self.bytes);
        let left = self.given_back.wait_while(self.lock(), |left| *left < bytes);
        *left.unwrap_or_else(PoisonError::into_inner) -= bytes;
        Piece { room: self, bytes }
    }

    fn lock(&self) -> MutexGuard<'_, u64> {
        // The number is right at every moment.
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Piece<'_> {
    /// How many bytes it has.
    pub(crate) const fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl Drop for Piece<'_> {
    fn drop(&mut self) {
        *self.room.lock() += self.bytes;
        self.room.given_back.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::thread;

    use super::*;

    #[test]
    fn all_together_have_no_more_than_there_is() {
        let room = Room::new(100);
        let taken = AtomicU64::new(0);
        thread::scope(|scope| {
            for thread in 0..8u64 {
                let (room, taken) = (&room, &taken);
                scope.spawn(move || {
                    for turn in 0..2_000 {
                        let piece = room.take((thread * 31 + turn * 17) % 160);
                        let all = taken.fetch_add(piece.bytes(), Ordering::SeqCst) + piece.bytes();
                        assert!(all <= 100, "{all}");
                        thread::yield_now();
                        taken.fetch_sub(piece.bytes(), Ordering::SeqCst);
                    }
                });
            }
        });
        assert_eq!(room.take(u64::MAX).bytes(), 100, "all was given back");
    }
}
