//! Real time: real worker and function processes against the embedded queue, in scenario time.

pub mod client;
pub mod clock;
pub mod environment;
pub mod event_source;
pub mod front;
pub mod guard;
pub mod hosts;
pub mod kubernetes;
pub mod lambda;
pub mod ledger;
pub mod pods;
pub mod runtime_api;
pub mod sender;
pub mod tail;
pub mod timeline;
