//! What is wrong with the environment, all of it at once.

use std::fmt;

/// One mistake: which variable, what it says, and what to write instead.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{variable}{}: {advice}", .value.as_ref().map(|value| format!("={value}")).unwrap_or_default())]
pub struct ConfigError {
    /// The variable to change.
    pub variable: String,
    /// What it says now; `None` where it is missing, or secret.
    pub value: Option<String>,
    /// What to write.
    pub advice: String,
}

/// Every mistake that was found. The exit code for it is [`ConfigErrors::EXIT_CODE`].
#[derive(Clone, Debug, PartialEq)]
pub struct ConfigErrors(pub Vec<ConfigError>);

impl ConfigErrors {
    /// `EX_USAGE` of sysexits.h: started the wrong way.
    pub const EXIT_CODE: u8 = 64;
}

impl std::error::Error for ConfigErrors {}

impl From<ConfigError> for ConfigErrors {
    fn from(error: ConfigError) -> Self {
        Self(vec![error])
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "bad configuration ({})", self.0.len())?;
        self.0.iter().try_for_each(|error| write!(f, "\n  {error}"))
    }
}
