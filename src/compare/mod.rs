//! The laboratory: one workload through both targets, in three engines, and the reports on it.
//!
//! ```text
//! scenario ─► local (real processes) ──┐
//!          ─► sim (virtual time) ──────┼─► run ─► cost ─► report (text, JSON, HTML)
//!          ─► aws (deployed targets) ──┘
//! ```
//!
//! `load`, `sqs`, `scaling`, `run` and `cost` are pure: they take `now` and their chance as arguments, import nothing
//! but std, serde and each other downwards, and are shared by the engines. `report` imports run, cost and advise.

pub mod advise;
pub mod aws;
pub mod command;
pub mod cost;
pub mod load;
pub mod local;
pub mod prices;
pub mod report;
pub mod run;
pub mod scaling;
pub mod scenario;
pub mod sim;
pub mod sqs;
pub mod validate;
