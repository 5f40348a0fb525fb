//! Redelivered messages have their effect once: what a store promises, and runs with forced redeliveries on both hosts.

mod blocked;
mod hosts;
mod store;
#[cfg(feature = "dynamodb")]
mod table;
