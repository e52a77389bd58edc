//! A permit has no public fields.
//! crates: consent
//! errors: E0451

use std::marker::PhantomData;

use consent::permit::{Permit, TrainOther};

pub fn forge(other: &Permit<TrainOther>) -> Permit<TrainOther> {
    Permit { work: other.work(), frontier: other.frontier(), usage: PhantomData }
}
