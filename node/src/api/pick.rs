//! Which run a person means.
//!
//! Invariants: a text that fits several runs is an error that names them, never a guess.
//! What it is not: a search.

use protocol::RunId;

use super::dto::Failure;

/// Digits of an id that are enough to mean a run, if only one begins with them.
const DIGITS_MIN: usize = 6;

/// The run that `text` means among those known: its id, a beginning of at least six digits that no
/// other id has, or its name if no other run has it. A whole id is taken even if it is not known.
pub fn pick_run<'a>(
    known: impl IntoIterator<Item = (RunId, &'a str)>,
    text: &str,
) -> Result<RunId, Failure> {
    if let Ok(run) = text.parse() {
        return Ok(run);
    }
    let beginning = text.len() >= DIGITS_MIN && text.bytes().all(|b| b.is_ascii_hexdigit());
    let beginning = beginning.then(|| text.to_ascii_lowercase());
    let fits = |(run, name): &(RunId, &str)| {
        *name == text || beginning.as_ref().is_some_and(|b| run.to_string().starts_with(b))
    };
    let mut found: Vec<RunId> = known.into_iter().filter(fits).map(|(run, _)| run).collect();
    match (found.pop(), found.last()) {
        (Some(run), None) => Ok(run),
        (Some(one), Some(another)) => Err(Failure {
            error: format!("{text:?} means more than one run, such as {one} and {another}"),
            usage: true,
        }),
        (None, _) => Err(Failure {
            error: format!(
                "no run is called {text:?} and no known id begins so (at least {DIGITS_MIN} \
                 digits): `accord run status` lists the runs"
            ),
            usage: false,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_meant_by_id_beginning_or_name() {
        let (one, two) = (RunId::of(b"1"), RunId::of(b"2"));
        let known = [(one, "digits"), (two, "flowers")];
        let pick = |text: &str| pick_run(known, text).map_err(|failure| failure.usage);
        assert_eq!(pick(&one.to_string()), Ok(one));
        assert_eq!(pick(&one.to_string()[..6]), Ok(one));
        assert_eq!(pick(&one.to_string()[..6].to_uppercase()), Ok(one));
        assert_eq!(pick("flowers"), Ok(two));
        assert_eq!(pick(&one.to_string()[..5]), Err(false));
        assert_eq!(pick("trees"), Err(false));
        assert_eq!(pick(""), Err(false));
        let unknown = RunId::of(b"3");
        assert_eq!(pick(&unknown.to_string()), Ok(unknown));
        let twins = [(one, "digits"), (two, "digits")];
        assert!(pick_run(twins, "digits").expect_err("two").usage);
    }
}
