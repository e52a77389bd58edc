//! Where a passphrase comes from: a file, a variable (`ACCORD_PASSPHRASE`, and `ACCORD_NEW_PASSPHRASE`
//! for one that replaces it), or a terminal.
//!
//! Invariants: a terminal does not show what is typed, and shows again what is typed after; nothing
//! is asked where nobody sits. What it is not: needed. Most identities have none.

use std::io::{self, BufRead, IsTerminal, Read, Write};
use std::path::Path;

use protocol::limits::PASSPHRASE_BYTES_MAX;

use crate::api::dto::{IdRequest, KeyAccess, Passphrase};

use super::context::{Context, absolute_text};
use super::error::CliError;
use super::id_args::KeyArguments;

/// The variable with the passphrase that opens an identity, or that a new one is to have.
const VARIABLE: &str = "ACCORD_PASSPHRASE";
/// The one with the passphrase that replaces it.
const NEW_VARIABLE: &str = "ACCORD_NEW_PASSPHRASE";

/// The passphrase that was given with the command.
pub(super) fn given(file: Option<&Path>) -> Result<Option<Passphrase>, CliError> {
    given_by(file, VARIABLE)
}

fn given_by(file: Option<&Path>, variable: &str) -> Result<Option<Passphrase>, CliError> {
    let Some(file) = file else {
        let variable = std::env::var(variable).ok();
        return Ok(variable.filter(|text| !text.is_empty()).map(Passphrase::new));
    };
    let read = |error| CliError::Read(file.display().to_string(), error);
    let mut text = String::new();
    let opened = std::fs::File::open(file).map_err(read)?;
    opened.take(PASSPHRASE_BYTES_MAX as u64 + 2).read_to_string(&mut text).map_err(read)?;
    let line = text.lines().next().unwrap_or_default();
    if line.is_empty() {
        return Err(CliError::Usage(format!("{} holds no passphrase", file.display())));
    }
    Ok(Some(Passphrase::new(line)))
}

/// The passphrase that was given, or one asked for if somebody sits at a terminal.
pub(super) fn given_or_asked(
    file: Option<&Path>,
    question: &str,
) -> Result<Option<Passphrase>, CliError> {
    match given(file)? {
        None if is_interactive() => ask(question).map(Some),
        given => Ok(given),
    }
}

/// A new passphrase: what was given, or asked for twice.
pub(super) fn new(file: Option<&Path>, wanted: bool) -> Result<Option<Passphrase>, CliError> {
    match given(file)? {
        None if wanted => asked_twice("--passphrase-file", VARIABLE).map(Some),
        given => Ok(given),
    }
}

/// One that replaces another, or none: what was given, or asked for twice.
pub(super) fn replacement(file: Option<&Path>) -> Result<Passphrase, CliError> {
    match given_by(file, NEW_VARIABLE)? {
        Some(passphrase) => Ok(passphrase),
        None => asked_twice("--new-passphrase-file", NEW_VARIABLE),
    }
}

fn asked_twice(flag: &str, variable: &str) -> Result<Passphrase, CliError> {
    if !is_interactive() {
        let rule = "there is no terminal to ask for the passphrase";
        return Err(CliError::Usage(format!("{rule}: give {flag} FILE or set {variable}")));
    }
    let first = ask("new passphrase: ")?;
    if ask("the same again: ")? != first {
        return Err(CliError::Usage("the two passphrases differ".to_owned()));
    }
    Ok(first)
}

/// What opens an identity: as given, and asked for if it is under a passphrase.
pub(super) async fn access(
    context: &Context,
    name: &str,
    keys: &KeyArguments,
) -> Result<KeyAccess, CliError> {
    let passphrase = opening(context, name, keys.passphrase_file.as_deref()).await?;
    let recovery = keys.recovery.as_deref().map(absolute_text).transpose()?;
    Ok(KeyAccess { passphrase, recovery })
}

/// The passphrase that opens an identity: as given, and asked for if it has one.
pub(super) async fn opening(
    context: &Context,
    name: &str,
    file: Option<&Path>,
) -> Result<Option<Passphrase>, CliError> {
    let passphrase = given(file)?;
    if passphrase.is_some() || !is_interactive() {
        return Ok(passphrase);
    }
    let request = IdRequest::List { name: Some(name.to_owned()) };
    // Whether there is such an identity is the verb's to say.
    let listed = context.client()?.identities(&request, drop).await.ok();
    let sealed = listed.is_some_and(|reply| reply.identities.iter().any(|found| found.sealed));
    sealed.then(|| ask(&format!("passphrase of {name}: "))).transpose()
}

fn is_interactive() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Asks on the terminal.
fn ask(question: &str) -> Result<Passphrase, CliError> {
    let mut stderr = io::stderr().lock();
    write!(stderr, "{question}")?;
    stderr.flush()?;
    let hidden = hidden::Hidden::new().map_err(CliError::System)?;
    let mut line = String::new();
    let read = io::stdin().lock().take(PASSPHRASE_BYTES_MAX as u64 + 2).read_line(&mut line);
    drop(hidden);
    writeln!(stderr)?;
    read.map_err(CliError::System)?;
    match line.trim_end_matches(['\r', '\n']) {
        "" => Err(CliError::Usage("no passphrase was typed".to_owned())),
        text => Ok(Passphrase::new(text)),
    }
}

#[cfg(unix)]
mod hidden {
    //! A terminal that does not echo, until this is dropped.

    use std::io;

    use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

    pub(super) struct Hidden(Termios);

    impl Hidden {
        pub(super) fn new() -> io::Result<Self> {
            let before = tcgetattr(io::stdin())?;
            let mut silent = before.clone();
            silent.local_modes.remove(LocalModes::ECHO);
            tcsetattr(io::stdin(), OptionalActions::Flush, &silent)?;
            Ok(Self(before))
        }
    }

    impl Drop for Hidden {
        fn drop(&mut self) {
            // A terminal that went away needs no echo.
            let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.0);
        }
    }
}

#[cfg(not(unix))]
mod hidden {
    //! Where echo cannot be turned off, nothing is asked.

    use std::io;

    pub(super) struct Hidden;

    impl Hidden {
        pub(super) fn new() -> io::Result<Self> {
            Err(io::Error::other("no passphrase can be asked here: give --passphrase-file FILE"))
        }
    }
}
