//! `twinscale new`: a project of one's own.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::CommandError;
use crate::scaffold::Project;

/// Write a project of your own: a handler, its test, and everything to deploy it on both targets
#[derive(Args, Debug)]
#[command(after_help = "\
Example:
  twinscale new orders && cd orders && make test

The folder's last part is the project's name: of the crate, the image, the queues and the namespace.")]
pub(super) struct New {
    /// The folder, which is made; its last part is the name
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
    /// Depend on a checkout of twinscale in place of the released crates
    #[arg(long, value_name = "PATH")]
    library: Option<PathBuf>,
}

impl New {
    /// Writes the project, and says what to do next.
    pub(super) fn run(&self) -> Result<ExitCode, CommandError> {
        let name = Project { folder: &self.folder, library: self.library.as_deref() }.write()?;
        let folder = self.folder.display();
        println!(
            "{name} is in {folder}. Next:\n  cd {folder}\n  make test                  # the service against a queue served in the test\n  \
             $EDITOR src/handler.rs     # yours goes here\n  make compare               # your handler on both targets"
        );
        Ok(ExitCode::SUCCESS)
    }
}
