//! A permit is used up.
//! crates: consent
//! errors: E0382

use consent::permit::{Permit, TrainOther};

pub fn twice(permit: Permit<TrainOther>) -> bool {
    permit.spend() == permit.spend()
}
