//! The Lambda host: an SQS event in, a partial batch response out.
//!
//! ```text
//! records ─► messages ─► batch ─► settle (visibility of retries, dead letters) ─► batchItemFailures
//! ```
//!
//! It never deletes: Lambda deletes what the response does not name. So the event source mapping needs
//! `ReportBatchItemFailures`; without it, Lambda would delete the failed ones too.

pub(crate) mod emf;
pub(crate) mod invoke;
mod records;
mod response;
mod settle;
mod sources;
mod start;

pub(crate) use start::{answer, make};
pub use start::{main, main_with};
