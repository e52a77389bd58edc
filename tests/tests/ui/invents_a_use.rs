//! Uses are those of the ledger, and no other.
//! crates: consent
//! errors: E0277

use consent::Use;
use consent::permit::Usage;

pub struct Anything;

impl Usage for Anything {
    const USE: Use = Use::TrainOther;
}
