//! Asks SQS for messages, as many as there is room for, with as many receives at once as the backlog is worth.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::pace::Pace;
use super::room::Room;
use crate::batch::LastReceive;
use crate::message::Message;
use crate::queue::{Queue, QueueError};
use crate::shutdown::Health;

/// From one empty answer to the next receive, at least.
const EMPTY_PAUSE: Duration = Duration::from_secs(1);

pub(super) struct Receiver {
    pub(super) queue: Queue,
    pub(super) room: Arc<Room>,
    pub(super) health: Health,
    /// The most that is ever in hand.
    pub(super) most: usize,
    pub(super) wait_time: Duration,
    pub(super) attempt_timeout: Duration,
    pub(super) visibility: Option<Duration>,
    pub(super) exit_when_idle: Option<Duration>,
    /// What is in hand.
    pub(super) batches: TaskTracker,
}

/// What a receive asked for, and what came of it.
struct ReceiveAnswer {
    asked: usize,
    took: Duration,
    brought: Result<Vec<Message>, QueueError>,
}

impl Receiver {
    /// Receives until `drain` and hands on what comes. Then no new receive starts, and those under way are *finished*:
    /// SQS may already have handed out what a dropped answer would have brought, and that would be stranded until its
    /// visibility timeout. What they bring goes to `give_back`; but what is
    /// on its last receive is handed on. Cancels `drain` itself when it has idled long enough, or, as a job, when the
    /// queue has answered nothing for as long: then it returns false.
    pub(super) async fn run(
        self,
        drain: &CancellationToken,
        last_receive: Option<LastReceive>,
        mut hand_on: impl FnMut(Vec<Message>),
        mut give_back: impl FnMut(Vec<Message>),
    ) -> bool {
        let mut pace = Pace::new(self.most);
        let mut receives: JoinSet<ReceiveAnswer> = JoinSet::new();
        let mut not_before = Instant::now();
        let mut quiet_since = Instant::now();
        let mut answered = true;
        let mut answered_at = Instant::now();
        loop {
            self.promise(not_before, !receives.is_empty());
            let may_ask = receives.len() < pace.receives();
            tokio::select! {
                biased;
                () = drain.cancelled() => break,
                Some(Ok(answer)) = receives.join_next() => {
                    let ReceiveAnswer { asked, took, brought } = answer;
                    let sizes = brought.iter().flatten().map(Message::bytes);
                    self.room.brought(asked, sizes);
                    match self.noted(brought) {
                        Ok(messages) => {
                            answered_at = Instant::now();
                            pace.answered(asked, messages.len());
                            if messages.len() == asked {
                                self.room.received(took);
                            }
                            self.room.free(asked - messages.len().min(asked));
                            if !messages.is_empty() {
                                quiet_since = Instant::now();
                                hand_on(messages);
                            } else {
                                // An empty answer before its time, or no long poll at all: asking on would be a spin.
                                not_before = Instant::now() + EMPTY_PAUSE.saturating_sub(took);
                                if self.has_idled(quiet_since) {
                                    tracing::info!("nothing comes any more (EXIT_WHEN_IDLE_SECS)");
                                    drain.cancel();
                                }
                            }
                        }
                        Err(()) => {
                            self.room.free(asked);
                            not_before = Instant::now() + pace.failed(fastrand::f64());
                            if self.has_idled(answered_at) {
                                tracing::error!("the queue has not answered for EXIT_WHEN_IDLE_SECS: this job gives up");
                                answered = false;
                                drain.cancel();
                            }
                        }
                    }
                }
                asked = self.place(not_before), if may_ask => {
                    receives.spawn(self.receive(asked));
                }
            }
        }
        self.promise(Instant::now(), !receives.is_empty());
        while let Some(answer) = receives.join_next().await {
            if let Ok(Ok(messages)) = answer.map(|answer| self.noted(answer.brought)) {
                let is_last = |message: &Message| last_receive.as_ref().is_some_and(|last| last.is_of(message));
                let (last, others): (Vec<_>, Vec<_>) = messages.into_iter().partition(is_last);
                if !last.is_empty() {
                    hand_on(last);
                }
                give_back(others);
            }
        }
        self.health.waiting();
        answered
    }

    async fn place(&self, not_before: Instant) -> usize {
        if not_before > Instant::now() {
            sleep_until(not_before).await;
        }
        self.room.take().await
    }

    fn receive(&self, asked: usize) -> impl Future<Output = ReceiveAnswer> + use<> {
        let queue = self.queue.clone();
        let wait_time = self.wait_time;
        let visibility = self.visibility;
        async move {
            let began = Instant::now();
            let brought = queue.receive(asked, wait_time, visibility).await;
            ReceiveAnswer { asked, took: began.elapsed(), brought }
        }
    }

    /// A message in hand may bring others, and a long one is no idleness.
    fn has_idled(&self, quiet_since: Instant) -> bool {
        self.exit_when_idle.is_some_and(|long| quiet_since.elapsed() >= long && self.batches.is_empty())
    }

    fn noted(&self, brought: Result<Vec<Message>, QueueError>) -> Result<Vec<Message>, ()> {
        self.health.reached_queue(brought.is_ok());
        brought.map_err(|error| tracing::warn!(%error, "a receive failed"))
    }

    /// For liveness: a receive answers within a poll and a timeout, a wait after a failure ends, and a wait for room
    /// may rightly take any time.
    fn promise(&self, not_before: Instant, receiving: bool) {
        let pause = not_before.saturating_duration_since(Instant::now());
        if receiving || !pause.is_zero() {
            self.health.back_within(pause + self.wait_time + self.attempt_timeout);
        } else {
            self.health.waiting();
        }
    }
}
