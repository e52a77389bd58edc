//! The permit: proof in the type system that the gate said yes to one work for one use.
//!
//! Invariants: only [`crate::Gate`] makes one; it cannot be copied, cloned, read from bytes or
//! changed to another use; whoever uses a work takes its permit by value.
//! What it is not: for keeping. It holds for the frontier it was decided on; a later draw asks the
//! gate again.
//!
//! A permit cannot be made outside this crate:
//!
//! ```compile_fail,E0451
//! use consent::permit::{Permit, TrainOther};
//! fn forge(work: protocol::ContentId, frontier: protocol::FileHash) -> Permit<TrainOther> {
//!     Permit { work, frontier, usage: std::marker::PhantomData }
//! }
//! ```
//!
//! nor be used twice:
//!
//! ```compile_fail,E0382
//! use consent::permit::{Permit, TrainOther};
//! fn twice(permit: Permit<TrainOther>) -> [protocol::ContentId; 2] {
//!     [permit.spend(), permit.spend()]
//! }
//! ```
//!
//! nor serve another use:
//!
//! ```compile_fail,E0308
//! use consent::permit::{Evaluate, Permit, TrainOther};
//! fn train(_: Permit<TrainOther>) {}
//! fn confuse(permit: Permit<Evaluate>) {
//!     train(permit)
//! }
//! ```

use std::marker::PhantomData;

use protocol::{ContentId, FileHash};

use crate::use_atom::Use;

mod sealed {
    pub trait Sealed {}
}

/// A use as a type. Sealed: there is one for each [`Use`] and no other.
pub trait Usage: sealed::Sealed {
    /// The use as a value.
    const USE: Use;
}

macro_rules! usages {
    ($($name:ident),*) => {$(
        #[doc = concat!("[`Use::", stringify!($name), "`] as a type.")]
        #[derive(Debug)]
        pub enum $name {}
        impl sealed::Sealed for $name {}
        impl Usage for $name {
            const USE: Use = Use::$name;
        }
    )*};
}

usages!(TrainGenerative, TrainOther, Mine, Ground, Index, Archive, Evaluate);

/// Leave to use one work once, for `U`.
#[derive(Debug)]
#[must_use = "a permit is leave to use a work; unused, the work was gated for nothing"]
pub struct Permit<U: Usage> {
    work: ContentId,
    frontier: FileHash,
    usage: PhantomData<fn() -> U>,
}

impl<U: Usage> Permit<U> {
    pub(crate) fn issue(work: ContentId, frontier: FileHash) -> Self {
        Self { work, frontier, usage: PhantomData }
    }

    /// The work it is for.
    pub fn work(&self) -> ContentId {
        self.work
    }

    /// The id of the ledger frontier that it was decided on.
    pub fn frontier(&self) -> FileHash {
        self.frontier
    }

    /// Uses it up, and gives the work that was used.
    pub fn spend(self) -> ContentId {
        self.work
    }
}
