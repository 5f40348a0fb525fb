//! The decision in five lines: which, by how much, what limits the other, at which rate it flips, how sure.

use std::fmt::Write as _;

use super::figures::{count, seconds, usd};
use crate::decide::{Aspect, Backtest, Choice, Compared, Contender, DAY, Decided, Flip};
use crate::scenario::load::Load;
use crate::target::TargetKind;

/// The five lines, each with what it answers.
pub fn lines(decided: &Decided) -> [(&'static str, String); 5] {
    [
        ("which", which(decided)),
        ("by how much", how_much(decided)),
        ("what limits", limits(decided)),
        ("flips at", flips(decided)),
        ("how sure", sure(decided)),
    ]
}

/// Writes them for a terminal, and after them what a backtest came to.
pub fn text(decided: &Decided) -> String {
    all(decided).fold(String::new(), |mut out, (asks, told)| {
        let _ = writeln!(out, "{asks:<12} {told}");
        out
    })
}

/// Writes them for a pull request.
pub fn markdown(decided: &Decided) -> String {
    all(decided).fold("|  | |\n|---|---|\n".to_owned(), |mut out, (asks, told)| {
        let _ = writeln!(out, "| {asks} | {} |", told.replace('|', "\\|"));
        out
    })
}

fn all(decided: &Decided) -> impl Iterator<Item = (&'static str, String)> {
    let backtest = |found: &Backtest| {
        let told: Vec<_> = found.compared.iter().map(|one| compared(found, one)).collect();
        ("last week", format!("{}, with the settings as they are.", told.join("; ")))
    };
    let left_out = decided.left_out.iter().map(|told| ("left out", told.clone()));
    lines(decided).into_iter().chain(decided.backtest.iter().map(backtest).collect::<Vec<_>>()).chain(left_out)
}

/// What one thing was observed to be, and what it was simulated to be.
pub fn compared(backtest: &Backtest, found: &Compared) -> String {
    let what = match found.aspect {
        Aspect::Capacity => format!("{} on {}", backtest.target.units(), backtest.target.title()),
        Aspect::OldestAge => format!("the oldest message on {}", backtest.target.title()),
        Aspect::Duration => "an invocation".to_owned(),
    };
    let value = |value: f64| match found.aspect {
        Aspect::Capacity => format!("{value:.1}"),
        Aspect::OldestAge | Aspect::Duration => seconds(value),
    };
    let off = found.deviation().map(|share| format!(" ({:.0} %)", share * 100.0)).unwrap_or_default();
    format!(
        "{what}: {} observed, {} simulated on average, {} apart{off}",
        value(found.observed_mean),
        value(found.simulated_mean),
        value(found.off)
    )
}

/// A target with its price and the goal's figure, as far as its run has them.
pub fn came_to(decided: &Decided, contender: &Contender) -> String {
    let figure = contender.seconds.map(|time| format!("{} {}", decided.goal.figure, seconds(time)));
    let money = contender.month_usd.map(|month| format!("{} a month", usd(month)));
    let told: Vec<String> = money.into_iter().chain(figure).collect();
    if told.is_empty() { "no figures".to_owned() } else { told.join(" with ") }
}

fn which(decided: &Decided) -> String {
    let goal = decided.goal;
    let of = |kind| decided.contender(kind).map(|c| came_to(decided, c)).unwrap_or_else(|| "no figures".to_owned());
    match decided.choice {
        Choice::Cheaper(kind) => format!("{}: {}, where both meet {goal}.", kind.title(), of(kind)),
        Choice::Alone(kind) => format!("{}: {}; it alone meets {goal}.", kind.title(), of(kind)),
        Choice::Either => format!("Either: both meet {goal}, and cost about the same."),
        Choice::Neither => format!("Neither: nothing that was tried meets {goal}."),
        Choice::Open => format!("Open: it was told to stop before both targets were searched for {goal}."),
    }
}

fn how_much(decided: &Decided) -> String {
    let each = |c: &Contender| format!("{} comes to {}", c.target.title(), came_to(decided, c));
    let Some((first, other)) = pair(decided) else {
        return format!("{}.", decided.contenders.iter().map(each).collect::<Vec<_>>().join("; "));
    };
    let of = other.most_of_it.as_ref().map(|most| format!(", of which {} are for {}", usd(most.usd), most.item));
    let told = format!("{}{}", each(other), of.unwrap_or_default());
    match first.month_usd.zip(other.month_usd) {
        Some((less, more)) if less < more => {
            format!("{} a month less: {told}.", usd(more - less))
        }
        Some((more, less)) => format!("{} a month more, which is what the goal costs: {told}.", usd(more - less)),
        None => format!("{told}."),
    }
}

fn limits(decided: &Decided) -> String {
    let told = |c: &Contender| {
        let name = c.target.title();
        match (&c.failure, &c.limit) {
            (Some(why), Some(limit)) => format!("{name} fails: {why}; it is limited by {limit}."),
            (Some(why), None) => format!("{name} fails: {why}."),
            (None, Some(limit)) => format!("{name} is limited by {limit}."),
            (None, None) if c.meets => format!("{name} keeps up as well: it is limited by its price alone."),
            (None, None) => format!("{name} keeps up with the load, and is slower than {} all the same.", decided.goal),
        }
    };
    match pair(decided) {
        Some((_, other)) => told(other),
        None => decided.contenders.iter().map(told).collect::<Vec<_>>().join(" "),
    }
}

fn flips(decided: &Decided) -> String {
    let flips = &decided.flips;
    let even = match decided.scenario.load {
        Load::Day { .. } | Load::Recorded { .. } | Load::Poisson { .. } => "",
        Load::Burst | Load::Steady { .. } | Load::Ramp { .. } | Load::OnOff { .. } => "With an even load: ",
    };
    let own = format!("your mean is {}", rate(flips.own_rate));
    match (flips.nearest(), flips.cheaper_at_lowest) {
        (Some(Flip { rate: at, to }), _) => {
            let below = to.other().title();
            format!("{even}{}: {below} is cheaper below, {} above; {own}.", rate(at), to.title())
        }
        (None, Some(kind)) => format!(
            "{even}no rate between {} and {}: {} is cheaper at all of them; {own}.",
            rate(flips.from),
            rate(flips.to),
            kind.title()
        ),
        (None, None) if !flips.not_reached.is_empty() => {
            format!("{even}not known: it was told to stop before a rate was tried; {own}.")
        }
        (None, None) => format!("{even}not known: at every rate a target failed; {own}."),
    }
}

fn sure(decided: &Decided) -> String {
    let found = &decided.uncertainty;
    let left_out = found.told_left_out();
    if found.draws == 0 {
        return format!("not drawn{left_out}.");
    }
    let of = |kind| found.cheaper.get(&kind).copied().unwrap_or(0);
    let each = |kind: &TargetKind| format!("{} in {}", kind.title(), of(*kind));
    let told = match decided.choice {
        Choice::Cheaper(kind) | Choice::Alone(kind) => format!("{} is cheaper in {}", kind.title(), of(kind)),
        Choice::Either | Choice::Neither | Choice::Open => {
            format!("cheaper is {}", TargetKind::all().iter().map(each).collect::<Vec<_>>().join(", "))
        }
    };
    let failed = match found.failed {
        0 => String::new(),
        n => format!("; in {n} a target fails, and nothing is compared"),
    };
    format!("{told} of {} draws of what the models had to estimate{failed}{left_out}.", found.draws)
}

/// The chosen target and the other one, where one was chosen.
fn pair(decided: &Decided) -> Option<(&Contender, &Contender)> {
    match decided.choice {
        Choice::Cheaper(kind) | Choice::Alone(kind) => decided.contender(kind).zip(decided.contender(kind.other())),
        Choice::Either | Choice::Neither | Choice::Open => None,
    }
}

/// A rate by the second and by the day, with two or three digits.
fn rate(rate: f64) -> String {
    let second = if rate < 10.0 { format!("{}", (rate * 1000.0).round() / 1000.0) } else { format!("{rate:.0}") };
    let day = rate * DAY.as_secs_f64();
    let day = match day {
        millions if millions >= 1e6 => format!("{:.1} M", millions / 1e6),
        less => count(less.round() as u64),
    };
    format!("{second} messages/s ({day} a day)")
}
