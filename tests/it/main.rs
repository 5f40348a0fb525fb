//! All integration tests in one binary: one link, one place for what they share.

mod cli;
mod conformance;
mod fault_proxy;
mod function;
mod local;
mod rooms;
mod sqs;
mod validate;
mod worker;
