//! What a shell and a manual take: completions, and pages for `man`.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::{CommandError, Twinscale};

/// Print what a shell needs to complete this program's commands and flags
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  twinscale completions bash > ~/.local/share/bash-completion/completions/twinscale
  twinscale completions zsh > \"${fpath[1]}/_twinscale\"
  twinscale completions fish > ~/.config/fish/completions/twinscale.fish")]
pub(super) struct Completions {
    shell: Shell,
}

/// Print the manual page, or write one page per command into a folder
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  twinscale man | man -l -
  twinscale man --out ~/.local/share/man/man1")]
pub(super) struct Man {
    /// The folder, which is there; gets twinscale.1, twinscale-compare.1 and so on
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

impl Completions {
    /// Prints them.
    pub(super) fn run(&self) -> Result<ExitCode, CommandError> {
        // Written in memory first: the generator panics where its output cannot be written, as into a closed pipe.
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Twinscale::command(), "twinscale", &mut script);
        io::Write::write_all(&mut io::stdout(), &script).map_err(|error| written("standard output", error))?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Man {
    /// Prints or writes them.
    pub(super) fn run(&self) -> Result<ExitCode, CommandError> {
        match &self.out {
            Some(folder) => clap_mangen::generate_to(Twinscale::command(), folder)
                .map_err(|error| written(&folder.display().to_string(), error))?,
            None => clap_mangen::Man::new(Twinscale::command())
                .render(&mut io::stdout())
                .map_err(|error| written("standard output", error))?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn written(what: &str, error: io::Error) -> CommandError {
    CommandError::Write { what: what.to_owned(), error }
}
