//! The flags for a service of one's own.

use std::path::PathBuf;

use clap::Args;

use super::CommandError;
use crate::processes::service::Bodies;
use crate::scenario::Draft;

/// A service of one's own, in place of the one that ships.
#[derive(Args, Debug)]
#[command(next_help_heading = "Your own service")]
pub(super) struct OwnService {
    /// Your service, one binary for every host (twinscale::main)
    #[arg(long, value_name = "BIN", conflicts_with_all = ["worker", "function"])]
    service: Option<PathBuf>,
    /// Your worker (twinscale::worker::main), with --function
    #[arg(long, value_name = "BIN", requires = "function")]
    worker: Option<PathBuf>,
    /// Your function (twinscale::function::main), with --worker
    #[arg(long, value_name = "BIN", requires = "worker")]
    function: Option<PathBuf>,
    /// What to send: a file with one body per line, such as JSON Lines
    #[arg(long, value_name = "FILE", conflicts_with = "body")]
    bodies: Option<PathBuf>,
    /// What to send: a body with {n}, the number of the message, and {uuid}
    #[arg(long, value_name = "TEMPLATE")]
    body: Option<String>,
    /// A variable of your service's environment, which has nothing else of yours; NAME alone takes it from here (may be
    /// given again)
    #[arg(long, value_name = "NAME[=VALUE]")]
    env: Vec<String>,
}

impl OwnService {
    /// Puts the flags into the scenario, and what follows from its bodies: their number and mean length, unless told.
    pub(super) fn put_into(&self, draft: &mut Draft, messages: Option<u64>) -> Result<(), CommandError> {
        let scenario = &mut draft.scenario;
        let given = [
            ("--service", self.service.is_some()),
            ("--worker", self.worker.is_some()),
            ("--bodies", self.bodies.is_some()),
            ("--body", self.body.is_some()),
            ("--env", !self.env.is_empty()),
        ];
        let given: Vec<_> = given.into_iter().filter(|(_, given)| *given).map(|(flag, _)| flag).collect();
        if let (None, Some(flag)) =
            (&scenario.service, given.iter().find(|flag| !["--service", "--worker"].contains(flag)))
            && self.service.is_none()
            && self.worker.is_none()
        {
            let what = "it is about a service of your own: write --service BIN too".to_owned();
            return Err(CommandError::Flag { flag, what });
        }
        if !given.is_empty() {
            let mut service = scenario.service.take().unwrap_or_default();
            if self.service.is_some() || self.worker.is_some() {
                service.service.clone_from(&self.service);
                service.worker.clone_from(&self.worker);
                service.function.clone_from(&self.function);
            }
            if self.bodies.is_some() || self.body.is_some() {
                service.bodies.clone_from(&self.bodies);
                service.body.clone_from(&self.body);
            }
            for variable in &self.env {
                match variable.split_once('=') {
                    Some((name, value)) => drop(service.env.insert(name.to_owned(), value.to_owned())),
                    None => service.env_from.push(variable.clone()),
                }
            }
            scenario.service = Some(service);
        }
        if let Some(service) =
            scenario.service.as_ref().filter(|service| service.bodies.is_some() || service.body.is_some())
        {
            let wrong = |error| CommandError::Local(crate::processes::LocalError::Service(error));
            let bodies = Bodies::of(service).map_err(wrong)?;
            draft.messages = messages.or(bodies.count()).or(draft.messages);
            scenario.body_bytes = bodies.mean_bytes().max(36);
        }
        Ok(())
    }
}
