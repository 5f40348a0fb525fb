//! What a handler is made with: the settings, AWS, and word of the end.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};

use aws_config::{ConfigLoader, SdkConfig};
use futures_util::future::{BoxFuture, FutureExt, join_all};
use tokio::sync::OnceCell;

use crate::aws;
use crate::config::{Config, ConfigError, ConfigErrors, Host};

/// Why a handler could not be made, or a host could not start. A [`ConfigErrors`] inside ends the process with exit
/// code 64, everything else with 70.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// What a host gives the function that makes its handler, once per process.
pub struct Context {
    host: Host,
    config: Config,
    /// In place of the environment, in tests.
    settings: Option<BTreeMap<String, String>>,
    aws: OnceCell<SdkConfig>,
    on_shutdown: Mutex<Vec<BoxFuture<'static, ()>>>,
}

impl Context {
    pub(crate) fn new(host: Host, config: Config) -> Self {
        Self { host, config, settings: None, aws: OnceCell::new(), on_shutdown: Mutex::default() }
    }

    /// The context of a worker with these settings and nothing of the environment: for tests of a handler.
    pub fn for_test<'a>(settings: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let settings = settings.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Self { settings: Some(settings), ..Self::new(Host::Worker, Config::default()) }
    }

    /// What the handler will run on.
    pub fn host(&self) -> Host {
        self.host
    }

    /// The settings of the host: what the environment says over what the code says.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// A setting of the handler's own, from the environment. An empty one counts as unset.
    pub fn setting(&self, variable: &str) -> Option<String> {
        let text = match &self.settings {
            Some(settings) => settings.get(variable).cloned(),
            None => std::env::var(variable).ok(),
        };
        text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
    }

    /// A setting that the handler cannot do without.
    ///
    /// # Errors
    /// When it is not set: the process then ends with exit code 64 and says which variable is missing.
    pub fn required(&self, variable: &str) -> Result<String, ConfigErrors> {
        let missing =
            || ConfigError { variable: variable.to_owned(), value: None, advice: "it has to be set".to_owned() };
        self.setting(variable).ok_or_else(|| missing().into())
    }

    /// A setting as a number, an address or whatever else can be parsed; `default` where it is not set.
    ///
    /// # Errors
    /// When it is set and cannot be parsed: the process then ends with exit code 64 and says what is wrong.
    pub fn parsed<T: FromStr<Err: Display>>(&self, variable: &str, default: T) -> Result<T, ConfigErrors> {
        let Some(text) = self.setting(variable) else { return Ok(default) };
        let wrong = |error: T::Err| ConfigError {
            variable: variable.to_owned(),
            value: Some(text.clone()),
            advice: error.to_string(),
        };
        text.parse().map_err(|error| wrong(error).into())
    }

    /// Region, credentials, endpoints and HTTP client, for clients of other AWS services. Read as every AWS SDK does, at
    /// the first call; later calls give the same.
    pub async fn aws(&self) -> &SdkConfig {
        self.aws.get_or_init(|| aws::load(ConfigLoader::default())).await
    }

    /// Runs `last` when the worker has drained, before the process ends, for at most five seconds: to close pools, to
    /// write what is buffered. Lambda freezes its environments and says nothing when it ends them, so a function has no
    /// such moment.
    pub fn on_shutdown(&self, last: impl Future<Output = ()> + Send + 'static) {
        self.on_shutdown.lock().unwrap_or_else(PoisonError::into_inner).push(last.boxed());
    }

    pub(crate) fn at_the_end(self) -> impl Future<Output = ()> + Send {
        let last = self.on_shutdown.into_inner().unwrap_or_else(PoisonError::into_inner);
        async move { drop(join_all(last).await) }
    }
}
