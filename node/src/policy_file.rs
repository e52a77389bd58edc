//! The rules about consent that a person writes: a policy file, and a run file's `[consent]`.
//!
//! ```toml
//! default = "opt-in"             # what silence means: "opt-in" is no, "opt-out" is yes
//! cooling_hours = 72             # how long an allow waits before it counts
//! allow_days_max = 730           # how long it counts at most
//! allow_standing = "self-asserted"   # or "place", "registrar", "signer"
//! place_standing = "place"       # what a word about a whole domain needs
//! witnesses = []                 # keys whose attestations count
//!
//! [likeness]                     # bits of 256 in which codes may differ, and the like
//! pdq_distance_max = 31
//! image_distance_max = 31
//! text_distance_max = 31
//! audio_distance_max = 20
//! passages_min = 8
//! reach_max = 1000
//! ```
//!
//! Invariants: unknown fields and values out of range are refused by name with what is allowed;
//! decimal numbers become the integers of a policy here. What it is not: the policy's own rules.

use consent::{Likeness, Policy, Silence, Standing};
use protocol::PublicKey;
use protocol::limits::{POLICY_FILE_BYTES_MAX, WITNESSES_MAX};
use serde::Deserialize;

/// How much of a wrong line is quoted.
const LINE_CHARS_MAX: usize = 60;
const HOUR_MS: u64 = 3_600_000;
/// A year: an allow that waits longer will never be waited for.
const COOLING_HOURS_MAX: u64 = 8_760;
/// Ten years: longer is no word of anybody about what is to come.
const ALLOW_DAYS_MAX: u64 = 3_650;
/// Codes of unrelated works differ in 128 bits, give or take 8; from here on all are alike.
const DISTANCE_MAX: u32 = 96;
/// As many as one subject has.
const PASSAGES_MIN_MAX: u32 = 1_024;
/// The works of a large data set.
const REACH_MAX: u32 = 1_000_000_000;

/// `[consent]`, or a policy file.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ConsentSection {
    /// What silence means.
    pub default: Silence,
    /// How long an allow waits before it counts, in hours.
    pub cooling_hours: f64,
    /// How long an allow counts at most, in days.
    pub allow_days_max: f64,
    /// The standing that an allow needs.
    pub allow_standing: Standing,
    /// The standing that a word about a place needs.
    pub place_standing: Standing,
    /// Keys of the identities whose attestations count.
    pub witnesses: Vec<String>,
    /// How alike is alike.
    pub likeness: Likeness,
}

impl Default for ConsentSection {
    fn default() -> Self {
        let policy = Policy::default();
        Self {
            default: policy.default,
            cooling_hours: 72.0,
            allow_days_max: 730.0,
            allow_standing: policy.allow_standing,
            place_standing: policy.place_standing,
            witnesses: Vec::new(),
            likeness: policy.likeness,
        }
    }
}

impl ConsentSection {
    /// Reads a policy file's text.
    pub(crate) fn parse(text: &str) -> Result<Policy, String> {
        if text.len() > POLICY_FILE_BYTES_MAX {
            return Err(format!("the policy file is longer than {POLICY_FILE_BYTES_MAX} bytes"));
        }
        let section: Self = toml::from_str(text).map_err(|error| {
            let (place, reason) = toml_fault(&error, text);
            format!("the policy file is wrong{place}: {reason}")
        })?;
        section.policy("").map_err(|fault| format!("the policy file is wrong: {fault}"))
    }

    /// The policy; what is out of range is named with `within` before it.
    pub(crate) fn policy(&self, within: &str) -> Result<Policy, String> {
        let most = COOLING_HOURS_MAX * HOUR_MS;
        let cooling_ms =
            scaled(&format!("{within}cooling_hours"), self.cooling_hours, HOUR_MS as f64, 0, most)?;
        let day_ms = 24 * HOUR_MS;
        let (name, days) = (format!("{within}allow_days_max"), self.allow_days_max);
        let allow_ms_max = scaled(&name, days, day_ms as f64, 0, ALLOW_DAYS_MAX * day_ms)?;
        Ok(Policy {
            default: self.default,
            cooling_ms,
            allow_ms_max,
            allow_standing: self.allow_standing,
            place_standing: self.place_standing,
            witnesses: self.witnesses(within)?,
            likeness: self.likeness(within)?,
        })
    }

    fn witnesses(&self, within: &str) -> Result<Vec<PublicKey>, String> {
        let key = |text: &String| {
            let shown: String = text.chars().take(LINE_CHARS_MAX).collect();
            text.parse().map_err(|error| format!("{within}witnesses has {shown:?}: {error}"))
        };
        let mut keys: Vec<PublicKey> = self.witnesses.iter().map(key).collect::<Result<_, _>>()?;
        keys.sort();
        keys.dedup();
        if keys.len() > WITNESSES_MAX {
            let count = keys.len();
            return Err(format!("{within}witnesses has {count} keys: {WITNESSES_MAX} are allowed"));
        }
        Ok(keys)
    }

    fn likeness(&self, within: &str) -> Result<Likeness, String> {
        let it = &self.likeness;
        let bounds = [
            ("pdq_distance_max", it.pdq_distance_max, 0, DISTANCE_MAX),
            ("image_distance_max", it.image_distance_max, 0, DISTANCE_MAX),
            ("text_distance_max", it.text_distance_max, 0, DISTANCE_MAX),
            ("audio_distance_max", it.audio_distance_max, 0, DISTANCE_MAX),
            ("passages_min", it.passages_min, 1, PASSAGES_MIN_MAX),
            ("reach_max", it.reach_max, 0, REACH_MAX),
        ];
        match bounds.into_iter().find(|(_, value, min, max)| !(min..=max).contains(&value)) {
            None => Ok(*it),
            Some((name, value, min, max)) => {
                Err(format!("{within}likeness.{name} is {value}: {min} to {max} are allowed"))
            }
        }
    }
}

/// Where a TOML text is wrong, such as ` at line 3 (count = x)`, and what is wrong.
pub(crate) fn toml_fault(error: &toml::de::Error, text: &str) -> (String, String) {
    let place = error.span().filter(|span| span.end > 0).and_then(|span| {
        let line = text.get(..span.start)?.matches('\n').count();
        // The line itself names the field.
        let written = text.lines().nth(line)?.trim().chars().take(LINE_CHARS_MAX);
        Some(format!(" at line {} ({})", line + 1, written.collect::<String>()))
    });
    let reason = error.message().lines().collect::<Vec<_>>().join(" ");
    let reason = ["u32", "u64", "usize"].iter().fold(reason, |reason, integer| {
        reason.replace(&format!("expected {integer}"), "expected a whole number from 0 on")
    });
    (place.unwrap_or_default(), reason)
}

/// A decimal as an integer of `by` parts of one, from `min` to `max` of them.
pub(crate) fn scaled(field: &str, value: f64, by: f64, min: u64, max: u64) -> Result<u64, String> {
    let parts = (value * by).round();
    if (min as f64..=max as f64).contains(&parts) {
        Ok(parts as u64)
    } else {
        let (min, max) = (min as f64 / by, max as f64 / by);
        Err(format!("{field} is {value}: {min} to {max} are allowed"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_file_is_the_usual_policy_and_all_of_it_can_be_changed() {
        assert_eq!(ConsentSection::parse(""), Ok(Policy::default()));
        let key = protocol::SecretKey::from_seed(&[1; 32]).public();
        let text = format!(
            "default = 'opt-out'\ncooling_hours = 0\nallow_days_max = 1\n\
             allow_standing = 'registrar'\nplace_standing = 'self-asserted'\n\
             witnesses = ['{key}', '{key}']\n[likeness]\npdq_distance_max = 20\nreach_max = 5\n"
        );
        let likeness = Likeness { pdq_distance_max: 20, reach_max: 5, ..Likeness::default() };
        let policy = Policy {
            default: Silence::OptOut,
            cooling_ms: 0,
            allow_ms_max: 24 * HOUR_MS,
            allow_standing: Standing::Registrar,
            place_standing: Standing::SelfAsserted,
            witnesses: vec![key],
            likeness,
        };
        assert_eq!(ConsentSection::parse(&text), Ok(policy));
    }

    #[test]
    fn mistakes_are_named_with_what_is_allowed() {
        for (text, said) in [
            ("defualt = 'opt-in'", "unknown field `defualt`, expected one of `default`"),
            ("[likeness]\npdq = 3", "expected one of `pdq_distance_max`"),
            ("allow_standing = 'god'", "expected one of `self-asserted`, `place`"),
            ("cooling_hours = -1", "cooling_hours is -1: 0 to 8760 are allowed"),
            ("[likeness]\ntext_distance_max = 128", "likeness.text_distance_max is 128: 0 to 96"),
            ("[likeness]\npassages_min = 0", "likeness.passages_min is 0: 1 to 1024"),
            ("witnesses = ['x']", "witnesses has \"x\""),
        ] {
            let error = ConsentSection::parse(text).expect_err(text);
            assert!(error.contains(said) && !error.contains('\n'), "{text}: {error}");
        }
    }
}
