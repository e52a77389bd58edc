//! What the gate makes permits with is its own.
//! crates: consent
//! errors: E0624

use consent::permit::{Permit, TrainOther};

pub fn forge(other: &Permit<TrainOther>) -> Permit<TrainOther> {
    Permit::issue(other.work(), other.frontier())
}
