//! The service that is deployed: one handler, and a main for each host that it runs on.
//!
//! [`handler`] is what happens to a message. `bin/` has the hosts, one call each, and `main.rs` all of them in one binary.

pub mod handler;
