//! What happens to a message: the handler that ships does the article's work; `WORK_*` say how much per message.
//!
//! **Yours goes here.** Only the mains call it; both hosts make it once, when they start.

use twinscale::{Context, Error};
use twinscale_work::handler::Workload;

/// Makes the handler. An error here is told, and ends the process.
pub async fn handler(context: &Context) -> Result<Workload, Error> {
    twinscale_work::handler::handler(context).await
}
