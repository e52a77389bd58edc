//! A statement: somebody's word on which works may be used for what.
//!
//! Invariants ([`Statement::check`]): subjects and rules are sorted and free of doubles, so one
//! meaning has one form; an allow has an end (`not_after_ms`), a restriction has none: it holds from
//! its receipt until a lift under the root key ends it.
//! What it is not: proof that its author made the work, nor a legal act. It is a preference with a
//! signature.

use serde::{Deserialize, Serialize};

use protocol::limits::{ORIGIN_NAME_BYTES_MAX, SUBJECTS_BYTES_MAX, SUBJECTS_MAX, URI_BYTES_MAX};
use protocol::{ContentId, FileHash, PublicKey, RecordId};

use crate::code::is_telling;
use crate::subject::Subject;
use crate::use_atom::{Use, Value};

/// Which rule of statements is broken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StatementError {
    /// No subjects, or too many.
    #[error("{0} subjects; a statement has 1 to {SUBJECTS_MAX}")]
    SubjectCount(usize),
    /// Subjects out of order or repeated.
    #[error("subjects are not sorted and distinct")]
    SubjectOrder,
    /// No rules.
    #[error("a statement has at least one rule")]
    NoRules,
    /// Rules out of order, or two for one use.
    #[error("rules are not sorted with one for each use")]
    RuleOrder,
    /// A rule that says nothing.
    #[error("the rule for {0} says unset; leave it out instead")]
    RuleUnset(Use),
    /// An allow without an end.
    #[error("an allow needs not_after_ms; nobody can foresee for ever")]
    AllowWithoutEnd,
    /// A restriction with an end.
    #[error("a restriction does not lapse; leave out not_after_ms")]
    RestrictionWithEnd,
    /// Terms without a use that they are for, or a link that is too long.
    #[error("terms are for a constrained use, and their link has 1 to {URI_BYTES_MAX} bytes")]
    Terms,
    /// A code that nearly every empty page has.
    #[error("a code with nearly all bits alike stands for no work")]
    BlankCode,
    /// The origin's text is too long.
    #[error("the origin's {field} has {bytes} bytes, at most {bytes_max} are allowed")]
    Origin {
        /// Which field of it.
        field: &'static str,
        /// Its length.
        bytes: usize,
        /// The bound.
        bytes_max: usize,
    },
}

/// Which outside term a statement was made from. The term itself, verbatim, is the record's remark:
/// it is somebody's words, so it can be erased.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// Such as `aipref` or `tdmrep`.
    pub scheme: String,
    /// The scheme's version: one token has meant different things in different versions.
    pub version: String,
}

/// In whose name a statement is made, if not the author's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Behalf {
    /// The identity spoken for.
    pub principal: PublicKey,
    /// Its record that gives leave for it.
    pub delegation: RecordId,
}

/// Where the terms of a constrained use stand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// A link for people.
    pub uri: String,
    /// The blake3 hash of what stood there.
    pub hash: FileHash,
}

/// What the author asks for where a work was used before the statement came.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Remedy {
    /// Leave it out from now on.
    #[default]
    FutureOnly,
    /// Also take it out of data sets.
    RequestRemoval,
    /// Also take its influence out of models.
    RequestUnlearn,
}

/// Rules for works.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    /// The works, sorted.
    #[serde(deserialize_with = "crate::subject::list")]
    pub subjects: Vec<Subject>,
    /// What is said about each use, sorted by use.
    pub rules: Vec<(Use, Value)>,
    /// When its allows end, in milliseconds since 1970; exactly when there are any.
    pub not_after_ms: Option<u64>,
    /// The outside term it was made from.
    pub origin: Option<Origin>,
    /// What is asked for where a work was used before.
    pub remedy: Remedy,
    /// In whose name it is made.
    pub behalf: Option<Behalf>,
    /// The terms of its constrained uses.
    pub terms: Option<Terms>,
}

impl Statement {
    /// A refusal of `uses`, still without subjects: see [`Statement::over`].
    pub fn deny(uses: &[Use]) -> Self {
        Self::saying(Value::Deny, uses, None)
    }

    /// Permission for `uses` until `not_after_ms`, still without subjects: see
    /// [`Statement::over`].
    pub fn allow(uses: &[Use], not_after_ms: u64) -> Self {
        Self::saying(Value::Allow, uses, Some(not_after_ms))
    }

    fn saying(value: Value, uses: &[Use], not_after_ms: Option<u64>) -> Self {
        let mut rules: Vec<(Use, Value)> = uses.iter().map(|atom| (*atom, value)).collect();
        rules.sort();
        rules.dedup();
        let (subjects, remedy) = (Vec::new(), Remedy::default());
        let (origin, behalf, terms) = (None, None, None);
        Self { subjects, rules, not_after_ms, origin, remedy, behalf, terms }
    }

    /// The same rules over these works: as many statements as their number takes, none for none.
    pub fn over(&self, works: impl IntoIterator<Item = ContentId>) -> Vec<Self> {
        self.over_subjects(works.into_iter().map(Subject::Content))
    }

    /// The same rules over these subjects, as [`Statement::over`].
    pub fn over_subjects(&self, subjects: impl IntoIterator<Item = Subject>) -> Vec<Self> {
        let mut sorted: Vec<Subject> = subjects.into_iter().collect();
        sorted.sort();
        sorted.dedup();
        let mut statements: Vec<Self> = Vec::new();
        let mut room = 0;
        for subject in sorted {
            let bytes = subject.bytes();
            match statements.last_mut() {
                Some(last) if bytes <= room && last.subjects.len() < SUBJECTS_MAX => {
                    room -= bytes;
                    last.subjects.push(subject);
                }
                _ => {
                    room = SUBJECTS_BYTES_MAX.saturating_sub(bytes);
                    statements.push(Self { subjects: vec![subject], ..self.clone() });
                }
            }
        }
        statements
    }

    /// The value for each use, in the order of [`Use::ALL`].
    pub fn values(&self) -> [Value; 7] {
        let mut values = [Value::Unset; 7];
        for (atom, value) in &self.rules {
            values[*atom as usize] = *value;
        }
        values
    }

    /// Whether it holds any use back.
    pub fn restricts(&self) -> bool {
        self.rules.iter().any(|(_, value)| value.restricts())
    }

    /// How many subjects are of a kind this version cannot match; they decide nothing here.
    pub fn subjects_unknown(&self) -> usize {
        self.subjects.iter().filter(|subject| !subject.is_known()).count()
    }

    /// Checks the rules that the module lists.
    pub fn check(&self) -> Result<(), StatementError> {
        if self.subjects.is_empty() || self.subjects.len() > SUBJECTS_MAX {
            return Err(StatementError::SubjectCount(self.subjects.len()));
        }
        if !self.subjects.windows(2).all(|pair| pair[0] < pair[1]) {
            return Err(StatementError::SubjectOrder);
        }
        if self.rules.is_empty() {
            return Err(StatementError::NoRules);
        }
        if !self.rules.windows(2).all(|pair| pair[0].0 < pair[1].0) {
            return Err(StatementError::RuleOrder);
        }
        if let Some((atom, _)) = self.rules.iter().find(|(_, value)| *value == Value::Unset) {
            return Err(StatementError::RuleUnset(*atom));
        }
        let blank =
            |subject: &Subject| matches!(subject, Subject::Code(_, bits) if !is_telling(bits));
        if self.subjects.iter().any(blank) {
            return Err(StatementError::BlankCode);
        }
        if let Some(terms) = &self.terms {
            let constrained = self.rules.iter().any(|(_, value)| *value == Value::Constrained);
            if !constrained || !(1..=URI_BYTES_MAX).contains(&terms.uri.len()) {
                return Err(StatementError::Terms);
            }
        }
        let allows = self.rules.iter().any(|(_, value)| *value == Value::Allow);
        match self.not_after_ms {
            None if allows => Err(StatementError::AllowWithoutEnd),
            Some(_) if !allows => Err(StatementError::RestrictionWithEnd),
            _ => self.origin.as_ref().map_or(Ok(()), Origin::check),
        }
    }
}

impl Origin {
    fn check(&self) -> Result<(), StatementError> {
        let bounds = [
            ("scheme", self.scheme.len(), ORIGIN_NAME_BYTES_MAX),
            ("version", self.version.len(), ORIGIN_NAME_BYTES_MAX),
        ];
        match bounds.into_iter().find(|(_, bytes, bytes_max)| bytes > bytes_max) {
            Some((field, bytes, bytes_max)) => {
                Err(StatementError::Origin { field, bytes, bytes_max })
            }
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn works(count: u32) -> Vec<ContentId> {
        (0..count).map(|i| ContentId::of(&i.to_le_bytes())).collect()
    }

    #[test]
    fn many_works_become_several_statements() {
        let statements = Statement::deny(&Use::TRAINING).over(works(600));
        assert_eq!(statements.iter().map(|s| s.subjects.len()).collect::<Vec<_>>(), [256, 256, 88]);
        assert!(statements.iter().all(|s| s.check() == Ok(())));
        assert!(Statement::deny(&Use::ALL).over(works(0)).is_empty());
        let twice = works(3).into_iter().chain(works(3));
        assert_eq!(Statement::deny(&Use::ALL).over(twice)[0].subjects.len(), 3);
    }

    #[test]
    fn broken_rules_are_named() {
        let deny = Statement::deny(&[Use::Mine]).over(works(2)).remove(0);
        let with = |change: fn(&mut Statement)| {
            let mut statement = deny.clone();
            change(&mut statement);
            statement.check()
        };
        assert_eq!(with(|_| ()), Ok(()));
        assert_eq!(with(|s| s.subjects.clear()), Err(StatementError::SubjectCount(0)));
        assert_eq!(with(|s| s.subjects.reverse()), Err(StatementError::SubjectOrder));
        assert_eq!(with(|s| s.rules.clear()), Err(StatementError::NoRules));
        assert_eq!(
            with(|s| s.rules.push((Use::Mine, Value::Allow))),
            Err(StatementError::RuleOrder)
        );
        assert_eq!(
            with(|s| s.rules[0].1 = Value::Unset),
            Err(StatementError::RuleUnset(Use::Mine))
        );
        assert_eq!(with(|s| s.rules[0].1 = Value::Allow), Err(StatementError::AllowWithoutEnd));
        assert_eq!(with(|s| s.not_after_ms = Some(1)), Err(StatementError::RestrictionWithEnd));
        let origin = Origin { scheme: "x".repeat(65), version: String::new() };
        let statement = Statement { origin: Some(origin), ..deny.clone() };
        assert!(matches!(statement.check(), Err(StatementError::Origin { field: "scheme", .. })));
    }

    #[test]
    fn unknown_subjects_are_counted() {
        let unknown = Subject::Unknown { kind: "pdq".into(), value: vec![0; 32] };
        let known = works(1).into_iter().map(Subject::Content);
        let statement = Statement::deny(&Use::ALL).over_subjects(known.chain([unknown])).remove(0);
        assert_eq!((statement.check(), statement.subjects_unknown()), (Ok(()), 1));
    }
}
