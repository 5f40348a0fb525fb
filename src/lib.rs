//! Twinscale: one SQS message handler, two ways to scale it.
//!
//! # How a message flows
//!
//! ```text
//!                    ┌── twinscale-worker (EKS, KEDA) ──────────────────────┐
//!                    │ worker: receive ─► room ─► batch ─► settle (deletes) │
//! POST /send ─► SQS ─┤                              │                       │
//!   (http)           │                       Handler::handle ─► Outcome     │
//!                    │                              │                       │
//!                    └── lambda-sqs (event source mapping) ── function ─────┘
//!                      records ─► batch ─► partial batch response
//! ```
//!
//! # Rooms, and who may import whom
//!
//! | room | may import |
//! |---|---|
//! | [`message`], [`metrics`], [`shutdown`], [`telemetry`] | nothing of ours |
//! | [`handler`], [`queue`] | message |
//! | [`journal`] | message, queue |
//! | [`workload`], [`batch`] | handler, message |
//! | [`config`] | workload (its settings come from the environment too) |
//! | [`http`] | message, queue, config, shutdown, telemetry |
//! | [`worker`], [`function`], the binaries | any room above |
//! | `compare` (feature of that name) | see its own page; the service never imports it |
//!
//! `tests/it/rooms.rs` keeps this table true. `src/` itself runs in production; [`compare`] is the laboratory.
//!
//! To run your own code, replace [`workload`]: it is the one file that a user edits.

pub mod batch;
pub mod config;
pub mod function;
pub mod handler;
pub mod http;
pub mod journal;
pub mod message;
pub mod metrics;
pub mod queue;
pub mod shutdown;
pub mod telemetry;
pub mod worker;
pub mod workload;

#[cfg(feature = "compare")]
pub mod compare;
