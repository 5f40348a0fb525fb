//! stub
use super::clock::Clock;
use super::hosts::Address;
use super::ledger::Ledger;
use crate::compare::scaling::Counts;
use crate::compare::scenario::Scenario;
use std::sync::Arc;
use std::time::Duration;

/// Queues
pub struct Queues {
    address: Address,
    ledger: Arc<Ledger>,
}
impl Queues {
    /// x
    pub async fn start(scenario: &Scenario, visibility: Duration, clock: Clock) -> std::io::Result<Self> {
        let _ = (scenario, visibility, clock);
        Err(std::io::ErrorKind::Other.into())
    }
    /// x
    pub fn address(&self) -> &Address {
        &self.address
    }
    /// x
    pub fn ledger(&self) -> &Arc<Ledger> {
        &self.ledger
    }
    /// x
    pub fn counts(&self) -> Counts {
        Counts::default()
    }
}
