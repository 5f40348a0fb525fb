#![cfg_attr(feature = "client", doc = include_str!("../README.md"))]
#![cfg_attr(
    not(feature = "client"),
    doc = "Amazon SQS for tests: a model of the queue, and a server that any AWS SDK can talk to."
)]

#[cfg(feature = "cli")]
pub mod cli;
#[cfg(feature = "server")]
pub mod clock;
pub mod model;
#[cfg(feature = "server")]
pub mod server;
