//! Amazon SQS for tests: a model of the queue, and a server that any AWS SDK can talk to.

#[cfg(feature = "server")]
pub mod clock;
pub mod model;
#[cfg(feature = "server")]
pub mod server;
