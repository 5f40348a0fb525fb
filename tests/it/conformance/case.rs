//! A case of the suite: what is sent, what goes wrong, and where each message has to end. It knows no host.

use std::ops::RangeInclusive;

use serde_json::Value;
use twinscale_sqs::server::{self as sqs_server, FaultKind};

use super::rig::Kind;
use crate::fault_proxy::{Fault, Strike, seeded};

/// The two hosts of a handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Host {
    Worker,
    Function,
}

/// Where a message ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Deleted once, and nowhere else.
    Deleted,
    /// In the dead-letter queue with the handler's reason, and nowhere else.
    Dead,
}

/// A message, and what has to become of it.
#[derive(Clone, Debug)]
pub struct Told {
    pub group: &'static str,
    pub steps: &'static str,
    /// Makes its body of its name and its steps.
    pub body: fn(&str, &str) -> String,
    pub end: End,
    /// How the reason of a reject begins.
    pub reason: &'static str,
    /// How often its handler began.
    pub handled: RangeInclusive<usize>,
    /// The same on the function, where that differs.
    pub on_function: Option<RangeInclusive<usize>>,
    /// The first visibility timeout that its host sets, in seconds.
    pub hidden: Option<RangeInclusive<u64>>,
    /// How often SQS has to give it out, at least: no case may hold because nothing happened.
    pub given_out: usize,
}

impl Told {
    pub fn body(&self, number: usize) -> String {
        (self.body)(&format!("m{number}"), self.steps)
    }

    /// How often its handler begins on that host.
    pub fn times(&self, host: Host) -> &RangeInclusive<usize> {
        match host {
            Host::Function => self.on_function.as_ref().unwrap_or(&self.handled),
            Host::Worker => &self.handled,
        }
    }
}

fn plain(name: &str, steps: &str) -> String {
    format!("{name}|{steps}")
}

pub struct Case {
    pub name: &'static str,
    /// What has to come of it, for the table.
    pub expected: &'static str,
    pub messages: Vec<Told>,
    /// The queue's visibility timeout, in seconds.
    pub visibility: u64,
    /// `maxReceiveCount` of the queue.
    pub max_receives: u32,
    pub settings: Vec<(&'static str, &'static str)>,
    /// What the proxy does.
    pub strike: Box<dyn Fn(u64) -> Strike + Send + Sync>,
    /// What goes wrong inside SQS, and of how many calls.
    pub inside: Option<(FaultKind, f64)>,
    /// Time is up while the first message is handled: SIGTERM and another worker; the deadline of the function.
    pub time_is_up: bool,
    /// Handlers that begin, over all messages.
    pub total: Option<usize>,
    /// On a FIFO queue, the messages of group `g` in the order in which their handlers begin.
    pub order: &'static [usize],
    /// Messages have their group on a standard queue too.
    pub fair: bool,
    /// Where it does not apply, and why.
    pub not_on: Option<(Kind, &'static str)>,
}

impl Case {
    pub fn new(name: &'static str, expected: &'static str) -> Self {
        Self {
            name,
            expected,
            messages: Vec::new(),
            visibility: 30,
            max_receives: 100,
            settings: Vec::new(),
            strike: Box::new(|_| Box::new(|_, _| None)),
            inside: None,
            time_is_up: false,
            total: None,
            order: &[],
            fair: false,
            not_on: None,
        }
    }

    /// Another message of group `g`, handled once and deleted, unless the following calls say otherwise.
    pub fn message(mut self, steps: &'static str) -> Self {
        self.messages.push(Told {
            group: "g",
            steps,
            body: plain,
            end: End::Deleted,
            reason: "told to",
            handled: 1..=1,
            on_function: None,
            hidden: None,
            given_out: 1,
        });
        self
    }

    fn last(&mut self) -> &mut Told {
        self.messages.last_mut().expect("a message")
    }

    pub fn group(mut self, group: &'static str) -> Self {
        self.last().group = group;
        self
    }

    pub fn body(mut self, body: fn(&str, &str) -> String) -> Self {
        self.last().body = body;
        self
    }

    pub fn dead(mut self) -> Self {
        self.last().end = End::Dead;
        self
    }

    /// Rejected before the handler sees it.
    pub fn unhandled(mut self, reason: &'static str) -> Self {
        (self.last().reason, self.last().handled) = (reason, 0..=0);
        self.dead()
    }

    pub fn given_out(mut self, times: usize) -> Self {
        self.last().given_out = times;
        self
    }

    pub fn handled(mut self, times: RangeInclusive<usize>) -> Self {
        self.last().handled = times;
        self
    }

    pub fn on_function(mut self, times: RangeInclusive<usize>) -> Self {
        self.last().on_function = Some(times);
        self
    }

    pub fn hidden(mut self, seconds: RangeInclusive<u64>) -> Self {
        self.last().hidden = Some(seconds);
        self
    }

    /// A dead letter after its last attempt, for this reason.
    pub fn exhausted(mut self, reason: &'static str) -> Self {
        self.last().reason = reason;
        self.dead()
    }

    /// Twenty messages in four groups, every fifth of which is retried once; handled at least that often.
    pub fn many(mut self, at_most: usize) -> Self {
        for number in 0..20 {
            let (steps, times) = if number % 5 == 0 { ("retry,done", 2) } else { ("done", 1) };
            self = self.message(steps).group(["g", "h", "i", "j"][number % 4]).handled(times..=times + at_most - 1);
        }
        self
    }

    pub fn visibility(mut self, seconds: u64) -> Self {
        self.visibility = seconds;
        self
    }

    pub fn max_receives(mut self, receives: u32) -> Self {
        self.max_receives = receives;
        self
    }

    pub fn with(mut self, name: &'static str, value: &'static str) -> Self {
        self.settings.push((name, value));
        self
    }

    /// Three of ten calls fail in one of these ways.
    pub fn on_the_way(mut self, faults: &'static [Fault]) -> Self {
        self.strike = Box::new(move |seed| seeded(seed, 0.3, faults));
        self
    }

    /// The first `times` calls of an action fail so.
    pub fn first(mut self, times: usize, action: &'static str, fault: Fault) -> Self {
        self.strike = Box::new(move |_| {
            let mut left = times;
            Box::new(move |called: &str, _: &Value| {
                let strikes = called == action && left > 0;
                left -= usize::from(strikes);
                strikes.then_some(fault)
            })
        });
        self
    }

    /// Three of ten calls fail inside SQS.
    pub fn inside(mut self, kind: FaultKind) -> Self {
        self.inside = Some((kind, 0.3));
        self
    }

    pub fn faults(&self, seed: u64) -> sqs_server::Faults {
        let fault = |(kind, share)| sqs_server::Fault { action: None, share, kind };
        sqs_server::Faults::new(seed, self.inside.map(fault).into_iter().collect())
    }

    pub fn time_is_up(mut self) -> Self {
        self.time_is_up = true;
        self
    }

    pub fn total(mut self, times: usize) -> Self {
        self.total = Some(times);
        self
    }

    pub fn order(mut self, order: &'static [usize]) -> Self {
        self.order = order;
        self
    }

    pub fn fair(mut self) -> Self {
        self.fair = true;
        self
    }

    pub fn not_on(mut self, kind: Kind, why: &'static str) -> Self {
        self.not_on = Some((kind, why));
        self
    }
}
