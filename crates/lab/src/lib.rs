#![doc = include_str!("../README.md")]
//!
//! # Rooms
//!
//! ```text
//! cli ─► scenario, manifests ─┬► processes (real time) ──┐
//!                             ├► simulate (virtual time) ┼─► run ─► cost ─► report (text, JSON, HTML)
//!                             └► deployed (on AWS) ──────┘            └──► advise ─► decide, gate
//! cli ─► validate (manifests, settings)     cli ─► scaffold (a new project)
//! ```
//!
//! `run` and `cost` are pure: they take `now` and their chance as arguments, and are shared by the engines.

pub mod advise;
pub mod cli;
mod contest;
pub mod cost;
pub mod decide;
pub mod deployed;
pub mod explore;
mod fargate;
pub mod gate;
pub mod manifests;
pub mod processes;
pub mod report;
pub mod run;
pub mod scaffold;
pub mod scenario;
pub mod simulate;
pub mod target;
pub mod uncertainty;
pub mod validate;
mod written;
