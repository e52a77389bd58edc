//! A permit serves the use that it was given for.
//! crates: consent
//! errors: E0308

use consent::permit::{Evaluate, Permit, TrainOther};

fn train(permit: Permit<TrainOther>) -> bool {
    permit.frontier() == permit.frontier()
}

pub fn confuse(permit: Permit<Evaluate>) -> bool {
    train(permit)
}
