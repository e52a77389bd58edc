//! The good case: a permit that the gate gave is spent.
//! crates: consent
//! errors:

use consent::Gate;
use consent::permit::{Permit, TrainOther};

pub fn spend(gate: &Gate<'_>, other: &Permit<TrainOther>) -> bool {
    gate.decide::<TrainOther>(other.work()).is_ok_and(|permit| permit.spend() == other.work())
}
