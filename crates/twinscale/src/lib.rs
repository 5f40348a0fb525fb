#![doc = include_str!("../README.md")]
//!
//! # How a message flows
//!
//! ```text
//!                    ┌── worker (EKS, KEDA) ────────────────────────────────┐
//!                    │ receive ─► room ─► batch ─► settle (deletes)         │
//! POST /send ─► SQS ─┤                      │                               │
//!   (http)           │               Handler::handle ─► Outcome             │
//!                    │                      │                               │
//!                    └── function (event source mapping) ───────────────────┘
//!                      records ─► batch ─► settle ─► partial batch response
//! ```
//!
//! # Rooms, and who may import whom
//!
//! | room | may import |
//! |---|---|
//! | `message`, `metrics`, `shutdown`, `telemetry`, `aws`, `config`, `settle` | nothing of ours |
//! | `handler`, `sns`, `trace` | message |
//! | `queue` | message, aws |
//! | `typed` | handler, message |
//! | `journal` | message, queue |
//! | `context` | config, aws |
//! | `start` | config, context, telemetry |
//! | `idempotency` | config, aws |
//! | `calls` | message, queue, settle |
//! | `batch` | config, handler, message, sns, idempotency, trace |
//! | `http` | message, metrics, queue, config, context, shutdown, start, telemetry, trace |
//! | `worker`, `function`, `one_binary` | any room above |

#![cfg_attr(not(feature = "unstable"), allow(dead_code, unused_imports, unreachable_pub))]

mod aws;
mod batch;
mod calls;
mod config;
mod context;
mod handler;
mod idempotency;
mod journal;
mod message;
mod metrics;
mod one_binary;
mod queue;
mod settle;
mod shutdown;
mod sns;
mod start;
mod telemetry;
mod trace;
mod typed;

pub mod function;
pub mod http;
pub mod worker;

pub use config::{
    Backoff, Config, ConfigError, ConfigErrors, FunctionConfig, Host, HttpConfig, IdempotencyConfig, IdempotencyStore,
    LogConfig, WorkerConfig,
};
pub use context::{Context, Error};
pub use handler::{Handler, Outcome};
pub use message::{Attribute, AttributeValue, Message};
pub use one_binary::{main, main_with};
pub use typed::{HandleTyped, Typed, typed};

/// What this repository's laboratory and tests use of the inside. It changes without notice.
#[cfg(feature = "unstable")]
#[doc(hidden)]
pub mod unstable;
