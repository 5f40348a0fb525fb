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
pub mod cli;
pub mod cost;
pub mod deployed;
pub mod manifests;
pub mod processes;
pub mod report;
pub mod run;
pub mod scaffold;
pub mod scenario;
pub mod simulate;
pub mod validate;
