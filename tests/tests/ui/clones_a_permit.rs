//! A permit is not copied.
//! crates: consent
//! errors: E0308

use consent::permit::{Permit, TrainOther};

pub fn double(permit: &Permit<TrainOther>) -> Permit<TrainOther> {
    permit.clone()
}
