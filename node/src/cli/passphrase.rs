//! Where a passphrase comes from: a file, the variable `ACCORD_PASSPHRASE`, or a terminal.
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

/// The passphrase that was given with the command.
pub(super) fn given(file: Option<&Path>) -> Result<Option<Passphrase>, CliError> {
    let Some(file) = file else {
        let variable = std::env::var("ACCORD_PASSPHRASE").ok();
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
        None if wanted && is_interactive() => {
            let first = ask("new passphrase: ")?;
            if ask("the same again: ")? != first {
                return Err(CliError::Usage("the two passphrases differ".to_owned()));
            }
            Ok(Some(first))
        }
        None if wanted => {
            let rule = "there is no terminal to ask for the passphrase: give --passphrase-file \
                        FILE or set ACCORD_PASSPHRASE";
            Err(CliError::Usage(rule.to_owned()))
        }
        given => Ok(given),
    }
}

/// What opens an identity: as given, and asked for if it is under a passphrase.
pub(super) async fn access(
    context: &Context,
    name: &str,
    keys: &KeyArguments,
) -> Result<KeyAccess, CliError> {
    let mut passphrase = given(keys.passphrase_file.as_deref())?;
    if passphrase.is_none() && is_interactive() {
        let request = IdRequest::List { name: Some(name.to_owned()) };
        // Whether there is such an identity is the verb's to say.
        let listed = context.client()?.identities(&request, drop).await.ok();
        if listed.is_some_and(|reply| reply.identities.iter().any(|found| found.sealed)) {
            passphrase = Some(ask(&format!("passphrase of {name}: "))?);
        }
    }
    let recovery = keys.recovery.as_deref().map(absolute_text).transpose()?;
    Ok(KeyAccess { passphrase, recovery })
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
