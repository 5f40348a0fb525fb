//! The smallest program that `lambda_runtime` allows: what `benches/function.rs` measures our function against.

use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::{Value, json};

#[tokio::main]
async fn main() -> Result<(), Error> {
    lambda_runtime::run(service_fn(async |_event: LambdaEvent<Value>| {
        Ok::<_, Error>(json!({ "batchItemFailures": [] }))
    }))
    .await
}
