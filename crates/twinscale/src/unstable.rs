//! The inside, as the laboratory and the tests of this repository use it.

pub mod aws {
    pub use crate::aws::*;
}
pub mod batch {
    pub use crate::batch::*;
}
pub mod config {
    pub use crate::config::*;
}
pub mod idempotency {
    pub use crate::idempotency::*;
}
pub mod journal {
    pub use crate::journal::*;
}
pub mod metrics {
    pub use crate::metrics::*;
}
pub mod queue {
    pub use crate::queue::*;
}
pub mod shutdown {
    pub use crate::shutdown::*;
}
pub mod telemetry {
    pub use crate::telemetry::*;
}
pub mod trace {
    pub use crate::trace::*;
}
pub mod function {
    pub use crate::function::emf::log_bytes;
    pub use crate::function::invoke::*;
}
pub mod http {
    pub use crate::http::router::*;
}
pub mod worker {
    pub use crate::worker::run::*;
}
