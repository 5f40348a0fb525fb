//! All integration tests in one binary: one link, one place for what they share.

mod advice;
mod agreement;
mod aws;
mod cli;
mod conformance;
mod fault_proxy;
mod function;
mod idempotency;
mod local;
mod report;
mod rooms;
mod simulated;
mod spans;
mod sqs;
mod validate;
mod worker;
