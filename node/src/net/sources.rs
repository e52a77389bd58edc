//! What we remember of providers: how fast they were, and who lied.
//!
//! Invariants: bounded; a liar stays remembered longest; without experience a provider stands
//! between the fast and the slow, so that it gets its chance.
//! What it is not: a ledger. It starts empty with each start of the node.

use std::cmp::Reverse;
use std::collections::HashMap;

use protocol::PublicKey;
use protocol::limits::PROVIDERS_REMEMBERED_MAX;

/// What an unknown provider is taken to do, in bytes per second.
const SPEED_ASSUMED: u64 = 4 << 20;
/// Shorter transfers tell of delay, not of speed.
const MEASURED_BYTES_MIN: u64 = 64 << 10;

#[derive(Debug, Clone, Copy, Default)]
struct Source {
    /// A moving average in bytes per second.
    speed: Option<u64>,
    /// Failures since the last success.
    failures: u32,
    lied: bool,
}

/// All providers we had to do with.
#[derive(Debug, Default)]
pub(super) struct Sources {
    known: HashMap<PublicKey, Source>,
}

impl Sources {
    /// The providers in the order in which to ask them: fewest failures, then fastest.
    pub(super) fn order(&self, providers: &[PublicKey]) -> Vec<PublicKey> {
        let mut ordered = providers.to_vec();
        ordered.sort_by_key(|key| {
            let source = self.known.get(key).copied().unwrap_or_default();
            (source.failures, Reverse(source.speed.unwrap_or(SPEED_ASSUMED)))
        });
        let mut seen = std::collections::HashSet::new();
        ordered.retain(|key| seen.insert(*key));
        ordered
    }

    pub(super) fn is_banned(&self, key: &PublicKey) -> bool {
        self.known.get(key).is_some_and(|source| source.lied)
    }

    pub(super) fn succeeded(&mut self, key: PublicKey, bytes: u64, elapsed_ms: u64) {
        let source = self.entry(key);
        source.failures = 0;
        if bytes >= MEASURED_BYTES_MIN {
            let now = bytes.saturating_mul(1_000) / elapsed_ms.max(1);
            source.speed = Some(source.speed.map_or(now, |before| before / 2 + now / 2));
        }
    }

    pub(super) fn failed(&mut self, key: PublicKey) {
        let source = self.entry(key);
        source.failures = source.failures.saturating_add(1);
    }

    pub(super) fn lied(&mut self, key: PublicKey) {
        self.entry(key).lied = true;
    }

    fn entry(&mut self, key: PublicKey) -> &mut Source {
        if self.known.len() >= PROVIDERS_REMEMBERED_MAX && !self.known.contains_key(&key) {
            let honest = self.known.iter().find(|(_, source)| !source.lied);
            let any = honest.or_else(|| self.known.iter().next()).map(|(key, _)| *key);
            if let Some(any) = any {
                self.known.remove(&any);
            }
        }
        self.known.entry(key).or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::SecretKey;

    fn key(seed: u8) -> PublicKey {
        SecretKey::from_seed(&[seed; 32]).public()
    }

    #[test]
    fn the_fast_come_first_and_the_failing_last() {
        let (fast, slow, new, failing) = (key(1), key(2), key(3), key(4));
        let mut sources = Sources::default();
        sources.succeeded(fast, 100 << 20, 1_000);
        sources.succeeded(slow, 1 << 20, 1_000);
        sources.succeeded(failing, 100 << 20, 1_000);
        sources.failed(failing);
        let asked = [failing, slow, new, fast, fast];
        assert_eq!(sources.order(&asked), [fast, new, slow, failing]);
        sources.succeeded(failing, 1, 1);
        assert_eq!(sources.order(&[slow, failing]), [failing, slow]);
    }

    #[test]
    fn liars_are_remembered() {
        let mut sources = Sources::default();
        sources.lied(key(1));
        sources.succeeded(key(1), 1 << 20, 1);
        assert!(sources.is_banned(&key(1)));
        assert!(!sources.is_banned(&key(2)));
    }
}
