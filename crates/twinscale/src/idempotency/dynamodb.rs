//! The store that all hosts share: a DynamoDB table with the partition key `id` (a string), and `expires_at` as its TTL
//! attribute. One conditional write a step, so that two holders never both get a key.
//!
//! Attributes of an item: `id`, `holder` (absent once done), `until_ms` (the lease, or how long it is remembered),
//! `expires_at` (the same in seconds, for the TTL). DynamoDB deletes expired items within days, so that every
//! condition looks at `until_ms` itself.

use std::time::{Duration, SystemTime};

use aws_config::ConfigLoader;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::Builder;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::error::{DisplayErrorContext, SdkError};
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure};
use tokio::sync::OnceCell;

use super::{Claim, HeldKey, StoreError};
use crate::aws;

/// DynamoDB answers within milliseconds; an attempt that takes longer is made again.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(2);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// Clocks of two hosts may differ by so much, and one that is ahead still takes no claim that holds. With a shorter lease
/// the margin is as short.
const CLOCK_MARGIN: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(super) struct DynamoDb {
    table: String,
    /// Of a local service; `None`: where the environment says.
    endpoint: Option<String>,
    /// Made when the first message comes, so that a cold start does not pay for it.
    client: OnceCell<Client>,
}

impl DynamoDb {
    pub(super) fn table(table: &str) -> Self {
        Self { table: table.to_owned(), endpoint: None, client: OnceCell::new() }
    }

    pub(super) fn local(endpoint: &str, table: &str) -> Self {
        Self { endpoint: Some(endpoint.to_owned()), ..Self::table(table) }
    }

    async fn client(&self) -> &Client {
        let connect = || async {
            let loader = match &self.endpoint {
                Some(endpoint) => aws::local(endpoint),
                None => ConfigLoader::default(),
            };
            let shared = aws::load(loader).await;
            let timeouts = TimeoutConfig::builder()
                .connect_timeout(CONNECT_TIMEOUT)
                .operation_attempt_timeout(ATTEMPT_TIMEOUT)
                .build();
            let config = Builder::from(&shared).timeout_config(timeouts).retry_config(RetryConfig::standard());
            Client::from_conf(config.build())
        };
        self.client.get_or_init(connect).await
    }

    /// Writes the claim unless there is an item that still holds; that item then tells who has the key.
    pub(super) async fn claim(&self, held: HeldKey, now: SystemTime, lease: Duration) -> Result<Claim, StoreError> {
        let written = self
            .client()
            .await
            .put_item()
            .table_name(&self.table)
            .item("id", text(&held.key))
            .item("holder", text(held.holder))
            .item("until_ms", millis(now + lease))
            .item("expires_at", seconds(now + lease))
            // Our own claim, if the answer to a first attempt was lost and the SDK asks again.
            .condition_expression("attribute_not_exists(id) OR until_ms <= :now OR holder = :us")
            // Not yet where only a clock that is ahead says so.
            .expression_attribute_values(":now", millis(now - CLOCK_MARGIN.min(lease)))
            .expression_attribute_values(":us", text(held.holder))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        let error = match written {
            Ok(_) => return Ok(Claim::Granted(held)),
            Err(error) => error,
        };
        let Some(PutItemError::ConditionalCheckFailedException(failed)) = error.as_service_error() else {
            return Err(table_error(error));
        };
        let item = failed.item().cloned().unwrap_or_default();
        if !item.contains_key("holder") {
            return Ok(Claim::Done);
        }
        let until = item.get("until_ms").and_then(|value| value.as_n().ok()).and_then(|number| number.parse().ok());
        let until = until.map_or(now + lease, |millis| SystemTime::UNIX_EPOCH + Duration::from_millis(millis));
        let rest = (until + CLOCK_MARGIN.min(lease)).duration_since(now).unwrap_or_default();
        Ok(Claim::InProgress(rest))
    }

    pub(super) async fn renew(&self, held: &HeldKey, until: SystemTime) -> Result<(), StoreError> {
        // Never of what is done: a renewal that arrives late would cut short how long that is remembered.
        self.update(held, "SET until_ms = :ms, expires_at = :s", "holder = :us", until).await
    }

    pub(super) async fn done(&self, held: &HeldKey, until: SystemTime) -> Result<(), StoreError> {
        let expression = "SET until_ms = :ms, expires_at = :s, done_by = :us REMOVE holder";
        // `done_by`: as in claim, an answer may be lost and the step made again.
        self.update(held, expression, "holder = :us OR done_by = :us", until).await
    }

    async fn update(
        &self,
        held: &HeldKey,
        expression: &str,
        condition: &str,
        until: SystemTime,
    ) -> Result<(), StoreError> {
        let answer = self
            .client()
            .await
            .update_item()
            .table_name(&self.table)
            .key("id", text(&held.key))
            .update_expression(expression)
            .condition_expression(condition)
            .expression_attribute_values(":us", text(held.holder))
            .expression_attribute_values(":ms", millis(until))
            .expression_attribute_values(":s", seconds(until))
            .send()
            .await;
        answer.map(drop).map_err(|error| match error.as_service_error() {
            Some(failed) if failed.is_conditional_check_failed_exception() => StoreError::ClaimOver,
            _ => table_error(error),
        })
    }

    pub(super) async fn release(&self, held: &HeldKey) -> Result<(), StoreError> {
        let call = self.client().await.delete_item().table_name(&self.table).key("id", text(&held.key));
        let call = call.condition_expression("attribute_not_exists(id) OR holder = :us");
        let answer = call.expression_attribute_values(":us", text(held.holder)).send().await;
        answer.map(drop).map_err(|error| match error.as_service_error() {
            Some(failed) if failed.is_conditional_check_failed_exception() => StoreError::ClaimOver,
            _ => table_error(error),
        })
    }
}

fn table_error<E: std::error::Error + Send + Sync + 'static>(error: SdkError<E>) -> StoreError {
    StoreError::Table(DisplayErrorContext(error).to_string())
}

fn text(text: impl ToString) -> AttributeValue {
    AttributeValue::S(text.to_string())
}

fn millis(time: SystemTime) -> AttributeValue {
    AttributeValue::N(time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_millis().to_string())
}

/// Rounded up: DynamoDB may delete an item as soon as that second has come.
fn seconds(time: SystemTime) -> AttributeValue {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    AttributeValue::N((since.as_secs() + 1).to_string())
}
