//! Which target wins, in one sentence: by the goal if there is one, else where none is better in one and worse in another.

use super::figures::{bills, seconds, usd};
use crate::advise::Goal;
use crate::contest::{Lower, lower};
use crate::cost::Prices;
use crate::run::{Run, Target};
use crate::target::TargetKind;

/// The answer of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Headline {
    /// The target to take; `None` if a run does not tell.
    pub winner: Option<TargetKind>,
    /// Why, in a sentence.
    pub told: String,
}

/// A target that did its work.
struct Able<'a> {
    kind: TargetKind,
    target: &'a Target,
    month_usd: f64,
    p95: f64,
}

impl Able<'_> {
    fn name(&self) -> &'static str {
        self.kind.title()
    }

    fn costs(&self) -> String {
        format!("{} at {} a month", self.name(), usd(self.month_usd))
    }
}

/// The answer of a run, by the goal if there is one.
pub fn headline(run: &Run, prices: &Prices, goal: Option<Goal>) -> Headline {
    let all = run.targets.iter().zip(bills(run, prices));
    let able = all.filter_map(|((kind, target), bill)| {
        Some(Able { kind, target, month_usd: bill?.month_usd, p95: target.latency_seconds?.p95 })
    });
    let mut able: Vec<Able> = able.collect();
    able.sort_by(|a, b| a.month_usd.total_cmp(&b.month_usd));
    let failed: Vec<_> =
        run.targets.iter().filter(|(kind, _)| run.failure(*kind).is_some()).map(|(kind, _)| kind.title()).collect();
    let without = |told: String| Headline { winner: None, told };
    match &able[..] {
        _ if run.targets.iter().next().is_none() => without("Nothing ran.".to_owned()),
        [] if failed.is_empty() => without("What it costs is not known, so nothing won.".to_owned()),
        [] => without(format!("{} failed, so nothing won.", failed.join(" and "))),
        [one] if !failed.is_empty() => {
            let told = format!(
                "{} failed; {} did its work, with a p95 of {}.",
                failed.join(" and "),
                one.costs(),
                seconds(one.p95)
            );
            without(told)
        }
        [one] => without(format!("{}, with a p95 of {}.", one.costs(), seconds(one.p95))),
        [cheap, dear, ..] => match goal {
            Some(goal) => by_goal(&able, goal),
            None => by_both(cheap, dear),
        },
    }
}

/// The cheapest that meets the goal.
fn by_goal(able: &[Able], goal: Goal) -> Headline {
    let within = goal.within.as_secs_f64();
    let figure = |side: &Able| goal.figure(side.target).unwrap_or(f64::INFINITY);
    let met: Vec<&Able> = able.iter().filter(|side| figure(side) <= within).collect();
    match &met[..] {
        [] => {
            let nearest = able.iter().min_by(|a, b| figure(a).total_cmp(&figure(b)));
            let nearest = nearest.map(|side| format!("; {} comes nearest with {}", side.name(), seconds(figure(side))));
            Headline { winner: None, told: format!("No target meets {goal}{}.", nearest.unwrap_or_default()) }
        }
        [one] => {
            let others = able.iter().filter(|side| side.kind != one.kind);
            let others = others.map(|side| format!("{} takes {}", side.name(), seconds(figure(side))));
            let others: Vec<_> = std::iter::once(String::new()).chain(others).collect();
            let told =
                format!("Only {} meets {goal}, for {} a month{}.", one.name(), usd(one.month_usd), others.join("; "));
            Headline { winner: Some(one.kind), told }
        }
        [first, second, ..] if tied(first.month_usd, second.month_usd) => Headline {
            winner: None,
            told: format!("Both meet {goal} for about the same: {}, {}.", first.costs(), second.costs()),
        },
        [first, second, ..] => Headline {
            winner: Some(first.kind),
            told: format!(
                "Both meet {goal}; {} is cheaper: {} against {} a month.",
                first.name(),
                usd(first.month_usd),
                usd(second.month_usd)
            ),
        },
    }
}

/// The one that is nowhere worse.
fn by_both(cheap: &Able, dear: &Able) -> Headline {
    let same_price = tied(cheap.month_usd, dear.month_usd);
    let same_speed = tied(cheap.p95, dear.p95);
    let faster = if cheap.p95 <= dear.p95 { cheap } else { dear };
    let speeds = format!("p95 of {} against {}", seconds(cheap.p95), seconds(dear.p95));
    let prices = format!("{} against {} a month", usd(cheap.month_usd), usd(dear.month_usd));
    let (winner, told) = match (same_price, same_speed) {
        (true, true) => (None, format!("Both are about as fast and cost about the same: {speeds}, {prices}.")),
        (true, false) => {
            (Some(faster.kind), format!("{} is faster for about the same price: {speeds}, {prices}.", faster.name()))
        }
        (false, true) => {
            (Some(cheap.kind), format!("{} is cheaper and about as fast: {prices}, {speeds}.", cheap.name()))
        }
        (false, false) if faster.kind == cheap.kind => {
            (Some(cheap.kind), format!("{} is cheaper and faster: {prices}, {speeds}.", cheap.name()))
        }
        (false, false) => (
            None,
            format!(
                "{} is cheaper, {} is faster: {prices}, {speeds}. A goal decides (--goal 'p95<30s').",
                cheap.name(),
                dear.name()
            ),
        ),
    };
    Headline { winner, told }
}

/// Too near to each other to call one lower.
fn tied(x: f64, y: f64) -> bool {
    lower(x, y) == Lower::Neither
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cost::prices;
    use crate::run::{Latency, Messages, Requests, Usage};
    use crate::scenario::Scenario;

    fn told(eks_p95: f64, lambda_p95: f64, goal: Option<&str>) -> Headline {
        let done = |p95| Target {
            messages: Messages { sent: 1000, done: 1000, retried: Some(0), lost: Some(0), ..Messages::default() },
            drain_seconds: Some(60.0),
            floor_seconds: Some(60.0),
            latency_seconds: Some(Latency { p95, ..Latency::default() }),
            requests: Requests::none(),
            ..Target::default()
        };
        let eks = Usage { pod_seconds: Some(6405.0), queue_reads: Some(0), ..Usage::default() };
        let lambda = Usage { gb_seconds: Some(900.0), invocations: Some(1000), ..Usage::default() };
        let targets = [
            (TargetKind::Eks, Target { usage: eks, ..done(eks_p95) }),
            (TargetKind::Lambda, Target { usage: lambda, ..done(lambda_p95) }),
        ];
        let run = Run::simulated(&Scenario { messages: 1000, ..Scenario::default() }, targets.into());
        headline(&run, &prices::read(None).expect("built in"), goal.map(|goal| goal.parse().expect("a goal")))
    }

    #[test]
    fn without_a_goal_only_what_is_nowhere_worse_wins() {
        let both = told(100.0, 30.0, None);
        assert_eq!(both.winner, Some(TargetKind::Lambda));
        assert!(both.told.starts_with("Lambda is cheaper and faster: $"), "{}", both.told);
        let each = told(10.0, 30.0, None);
        assert_eq!(each.winner, None);
        assert!(each.told.contains("Lambda is cheaper, EKS (KEDA) is faster: "), "{}", each.told);
    }

    #[test]
    fn with_a_goal_the_cheapest_that_meets_it_wins() {
        assert_eq!(told(10.0, 20.0, Some("p95<30s")).winner, Some(TargetKind::Lambda));
        let only = told(10.0, 40.0, Some("p95<30s"));
        assert_eq!(only.winner, Some(TargetKind::Eks));
        assert!(only.told.starts_with("Only EKS (KEDA) meets p95<30s, for $"), "{}", only.told);
        let none = told(50.0, 40.0, Some("p95<30s"));
        assert_eq!(
            none,
            Headline { winner: None, told: "No target meets p95<30s; Lambda comes nearest with 40.0 s.".to_owned() }
        );
    }
}
