//! The laboratory's integration tests that need no process of the service.
#![allow(unreachable_pub)]

mod advice;
mod cli;
mod report;
mod simulated;
mod validate;
