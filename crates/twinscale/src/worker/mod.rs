//! The worker: receives what it has room for, runs each message as a task of its own, settles, and drains on SIGTERM.
//!
//! ```text
//! receive (as many as there is room for) ─► batch (each message a task) ─► settle (deletes, retries, leases)
//!      ▲                                                                       │
//!      └────────────────────────────── room ◄──────────────────────────────────┘
//! ```
//!
//! When told to stop, it receives no more, but *finishes* the receive under way and gives back what that brings; what
//! has not begun is given back at once; what has begun gets the drain budget; deletes are flushed. The three overlap.

mod adapt;
mod ahead;
mod pace;
mod probe;
mod receive;
mod room;
pub(crate) mod run;
mod settle;
mod start;

pub use start::{main, main_with};
