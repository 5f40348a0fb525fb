//! The HTTP side, the same on the worker and behind `lambda-http`: hello, `/send`, health, readiness.

mod accept;
mod idle;
mod request;
pub(crate) mod router;
mod send;
mod serve;
mod start;

pub(crate) use start::{answer, routes};
pub use start::{main, main_with};
