//! Last week again, as pictures: what was observed beside what was simulated.

use maud::{Markup, html};

use super::super::decision::compared;
use super::picture::{Axis, Color, Data, Line, Picture, Unit, all, data_table, panel};
use crate::decide::{Aspect, Backtest};

/// The section, and its pictures into the page's data.
pub(super) fn backtest(backtest: &Backtest, data: &mut Data) -> Markup {
    let mut places = Vec::new();
    for found in &backtest.compared {
        let (id, label, unit) = match found.aspect {
            Aspect::Capacity => ("observed-capacity", backtest.target.units(), Unit::Number),
            Aspect::OldestAge => ("observed-age", "age of the oldest message", Unit::Seconds),
            Aspect::Duration => ("observed-duration", "an invocation", Unit::Seconds),
        };
        let x = data.column(found.t.clone());
        let line = |label: &str, color, y: &[f64], dash| Line {
            label: label.to_owned(),
            color,
            dash,
            x,
            y: all(y.iter().copied()),
            step: true,
            ..Line::default()
        };
        data.add(Picture {
            id: id.to_owned(),
            x: Axis { label: "since the load began", unit: Unit::Seconds, ..Axis::default() },
            y: Axis { label, unit, ..Axis::default() },
            lines: vec![
                line("observed", Color::Observed, &found.observed, 2),
                line("simulated", Color::of(backtest.target), &found.simulated, 0),
            ],
            ..Picture::default()
        });
        let told = format!("{}, with the settings as they are.", compared(backtest, found));
        places.push(html! { (panel(id, label, &told)) (data_table(id, label)) });
    }
    html! { h2 { "Last week again" } @for place in places { (place) } }
}
