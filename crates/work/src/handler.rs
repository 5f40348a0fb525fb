//! A handler that waits, computes and holds memory: the article's work. `WORK_*` say how much per message.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use crate::{Fate, Work, backoff_luck, number, parse_duration};
use twinscale::{Backoff, ConfigError, ConfigErrors, Context, Error, Handler, Message, Outcome};

/// Makes the handler, once per process.
pub async fn handler(context: &Context) -> Result<Workload, Error> {
    let retries = match context.setting("BACKOFF_SEED") {
        Some(_) => Some((context.parsed("BACKOFF_SEED", 0)?, context.config().backoff)),
        None => None,
    };
    let speed = context.parsed("BACKOFF_SPEED", 1.0_f64)?.max(f64::MIN_POSITIVE);
    Ok(Workload { work: work(context)?, retries, speed, computing: AtomicU32::new(0) })
}

/// Waits, computes and holds memory; its settings say how much per message.
pub struct Workload {
    work: Work,
    /// Draws the delays of retries, so that a message waits equally long in every run; unset: the host's own backoff.
    retries: Option<(u64, Backoff)>,
    /// How much faster than their clock the laboratory's queues run.
    speed: f64,
    /// Messages in their computing part: they share the host's processors.
    computing: AtomicU32,
}

impl Handler for Workload {
    async fn handle(&self, message: &Message) -> Outcome {
        let drawn = self.work.draw(number(&message.body), message.attempt());
        let held = vec![1_u8; (self.work.memory_mib as usize) << 20];
        if !self.work.cpu.is_zero() {
            self.compute().await;
        }
        if !drawn.wait.is_zero() {
            tokio::time::sleep(drawn.wait).await;
        }
        std::hint::black_box(held);
        self.outcome(drawn.fate, message)
    }
}

impl Workload {
    fn outcome(&self, fate: Fate, message: &Message) -> Outcome {
        match fate {
            Fate::Done => Outcome::Done,
            // This project's hosts catch what a handler throws, for its message alone.
            Fate::Retry | Fate::Throw => {
                let attempt = message.attempt();
                let luck = |seed| backoff_luck(seed, number(&message.body), attempt);
                let after = self.retries.map(|(seed, backoff)| backoff.delay(attempt, luck(seed)));
                // The first of a FIFO group waits in the host, whose timers are those of this machine.
                let speed = if message.group_id.is_some() { self.speed } else { 1.0 };
                let after = after.map(|after| after.div_f64(speed));
                Outcome::Retry { after, reason: "drawn by the workload (WORK_RETRY_SHARE)".to_owned() }
            }
            Fate::Reject => Outcome::reject("drawn by the workload (WORK_REJECT_SHARE)"),
        }
    }

    /// Spends the processor time for real, then sleeps for as long as this host's share would have stretched it.
    async fn compute(&self) {
        let began = tokio::time::Instant::now();
        let sharing = Sharing::of(&self.computing);
        let cpu = self.work.cpu;
        // Off the async threads, so that computing holds up no other message.
        let burning = tokio::task::spawn_blocking(move || {
            let until = Instant::now() + cpu;
            while Instant::now() < until {
                std::hint::spin_loop();
            }
        });
        if burning.await.is_ok() {
            tokio::time::sleep_until(began + self.work.stretched(sharing.count)).await;
        }
    }
}

/// Counts one message among those that compute, for as long as it lives: also when its handler is aborted.
struct Sharing<'a> {
    computing: &'a AtomicU32,
    count: u32,
}

impl<'a> Sharing<'a> {
    fn of(computing: &'a AtomicU32) -> Self {
        Self { computing, count: computing.fetch_add(1, Ordering::Relaxed) + 1 }
    }
}

impl Drop for Sharing<'_> {
    fn drop(&mut self) {
        self.computing.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What `WORK_*` say.
fn work(context: &Context) -> Result<Work, ConfigErrors> {
    let default = Work::default();
    let wrong = |variable: &str, value: Option<String>, advice: &str| {
        ConfigErrors::from(ConfigError { variable: variable.to_owned(), value, advice: advice.to_owned() })
    };
    let cpu = match context.setting("WORK_CPU") {
        None => default.cpu,
        Some(text) => parse_duration(&text)
            .ok_or_else(|| wrong("WORK_CPU", Some(text), "write a duration with its unit, such as 10ms or 2.5s"))?,
    };
    let work = Work {
        seed: context.parsed("WORK_SEED", default.seed)?,
        wait: context.parsed("WORK_WAIT", default.wait)?,
        cpu,
        cpu_limit: context.parsed("WORK_CPU_LIMIT", default.cpu_limit)?,
        memory_mib: context.parsed("WORK_MEMORY_MIB", default.memory_mib)?,
        retry_share: context.parsed("WORK_RETRY_SHARE", default.retry_share)?,
        reject_share: context.parsed("WORK_REJECT_SHARE", default.reject_share)?,
        throw_share: context.parsed("WORK_THROW_SHARE", default.throw_share)?,
    };
    let mistakes = work.mistakes();
    let named = |(field, advice): &(&str, String)| ConfigError {
        variable: format!("WORK_{}", field.to_uppercase()),
        value: None,
        advice: advice.clone(),
    };
    if mistakes.is_empty() { Ok(work) } else { Err(ConfigErrors(mistakes.iter().map(named).collect())) }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn context<'a>(settings: &[(&'a str, &'a str)]) -> Context {
        Context::for_test(settings.iter().copied())
    }

    #[tokio::test]
    async fn settings_that_cannot_be_are_named() {
        for (variable, value) in [
            ("WORK_SEED", "a"),
            ("WORK_WAIT", "uniform:2s-1s"),
            ("WORK_CPU", "10"),
            ("WORK_CPU_LIMIT", "0"),
            ("WORK_MEMORY_MIB", "1e9"),
            ("WORK_MEMORY_MIB", "65537"),
            ("WORK_RETRY_SHARE", "1.5"),
            ("WORK_REJECT_SHARE", "NaN"),
            ("BACKOFF_SEED", "x"),
        ] {
            let refused = handler(&context(&[(variable, value)])).await.err().expect(variable);
            assert!(refused.to_string().contains(variable), "{refused}");
            assert!(refused.is::<ConfigErrors>(), "{variable} ends the process with 64");
        }
    }

    #[tokio::test]
    async fn a_seed_draws_the_delay_of_a_retry_and_without_one_the_host_does() {
        let message = Message::new(crate::body(1, 7));
        let after = async |settings: &[(&str, &str)]| {
            let mut all = vec![("WORK_WAIT", "constant:0s"), ("WORK_RETRY_SHARE", "1")];
            all.extend(settings);
            match handler(&context(&all)).await.expect("valid").handle(&message).await {
                Outcome::Retry { after, .. } => after,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(after(&[]).await, None);
        assert_eq!(after(&[("BACKOFF_SEED", "1")]).await, Some(Backoff::default().delay(1, backoff_luck(1, 7, 1))));
    }

    #[tokio::test(start_paused = true)]
    async fn an_aborted_handler_no_longer_shares_the_processor() {
        let workload = Workload {
            retries: None,
            speed: 1.0,
            work: Work { cpu: Duration::from_millis(1), cpu_limit: 0.001, ..Work::default() },
            computing: AtomicU32::new(0),
        };
        let message = Message::default();
        assert!(tokio::time::timeout(Duration::from_millis(10), workload.handle(&message)).await.is_err());
        assert_eq!(workload.computing.load(Ordering::Relaxed), 0);
    }
}
