//! The laboratory's integration tests that need no process of the service.
#![allow(unreachable_pub)]

mod advice;
mod by_hand;
mod calibration;
mod cases;
mod cli;
mod decide;
mod gate;
mod interrupted;
mod keda;
mod keda_inputs;
mod mutations;
mod prices;
mod report;
mod simulated;
mod spellings;
mod validate;
