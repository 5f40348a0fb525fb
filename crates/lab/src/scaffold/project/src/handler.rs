//! What happens to a message: an order is reserved in the warehouse.
//!
//! Replace it by your own. Both hosts call [`handler`] once, when they start, and then [`Orders::handle`] for each message.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use twinscale::{Context, Error, HandleTyped, Message, Outcome, Typed, typed};

/// The body of a message, as JSON. One that does not parse can never succeed, and is rejected before it comes here.
#[derive(Debug, Deserialize, Serialize)]
pub struct Order {
    /// Names the order, also where its producer sends it twice.
    pub id: u64,
    /// What is ordered.
    pub item: String,
}

/// Reserves orders in the warehouse.
pub struct Orders {
    http: reqwest::Client,
    reservations: String,
}

/// Makes the handler: settings, clients and pools, once per process. `WAREHOUSE_URL` is where the warehouse is.
pub async fn handler(context: &Context) -> Result<Typed<Order, Orders>, Error> {
    let warehouse = context.required("WAREHOUSE_URL")?;
    let http = reqwest::Client::builder().timeout(Duration::from_secs(5)).build()?;
    Ok(typed(Orders { http, reservations: format!("{}/reservations", warehouse.trim_end_matches('/')) }))
}

impl HandleTyped<Order> for Orders {
    async fn handle(&self, order: Order, _message: &Message) -> Outcome {
        match self.http.post(&self.reservations).json(&order).send().await {
            Ok(answer) if answer.status().is_success() => Outcome::Done,
            // The warehouse does not want this order, and will not want it tomorrow.
            Ok(answer) if answer.status().is_client_error() => {
                Outcome::reject(format!("the warehouse refused order {}: {}", order.id, answer.status()))
            }
            // It may want it later: the message comes again after a backoff.
            Ok(answer) => Outcome::retry(format!("the warehouse answered {}", answer.status())),
            Err(error) => Outcome::retry(format!("the warehouse is out of reach: {error}")),
        }
    }

    /// The same order has its effect once, where idempotency is on.
    fn idempotency_key(&self, order: &Order, _message: &Message) -> String {
        format!("order-{}", order.id)
    }
}
