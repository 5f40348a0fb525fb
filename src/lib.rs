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
//! | [`message`], [`metrics`], [`shutdown`], [`telemetry`], [`aws`] | nothing of ours |
//! | [`handler`], [`sns`], [`trace`] | message |
//! | [`queue`] | message, aws |
//! | [`typed`] | handler, message |
//! | [`journal`] | message, queue |
//! | [`workload`] | handler, message |
//! | [`config`] | workload (its settings come from the environment too) |
//! | [`idempotency`] | config, aws |
//! | [`batch`] | handler, message, sns, idempotency, trace |
//! | [`http`] | message, queue, config, shutdown, trace |
//! | [`worker`], [`function`], the binaries | any room above |
//! | `compare` (feature of that name) | see its own page; the service never imports it |
//!
//! `tests/it/rooms.rs` keeps this table true. `src/` itself runs in production; [`compare`] is the laboratory.
//!
//! To run your own code, replace [`workload`]: it is the one file that a user edits.

pub mod aws;
pub mod batch;
pub mod config;
pub mod function;
pub mod handler;
pub mod http;
pub mod idempotency;
pub mod journal;
pub mod message;
pub mod metrics;
pub mod queue;
pub mod shutdown;
pub mod sns;
pub mod telemetry;
pub mod trace;
pub mod typed;
pub mod worker;
pub mod workload;

#[cfg(feature = "compare")]
pub mod compare;
