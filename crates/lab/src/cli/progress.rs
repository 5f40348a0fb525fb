//! A progress bar a target on standard error; hidden when that is no terminal, without colour under `NO_COLOR`.

use std::collections::BTreeMap;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::processes::Progress;
use crate::target::TargetKind;

/// The bars, one for each target that has been heard of.
#[derive(Default)]
pub(super) struct Bars {
    all: MultiProgress,
    bars: BTreeMap<TargetKind, ProgressBar>,
}

impl Bars {
    /// Shows how far a target is.
    pub(super) fn show(&mut self, progress: &Progress) {
        let Progress { target, messages, tally, capacity, now, .. } = *progress;
        let bar = self.bars.entry(target).or_insert_with(|| {
            let bar = self.all.add(ProgressBar::new(messages));
            let template = "{prefix:>12} {bar:30.cyan/dim} {pos}/{len}  {per_sec}, {eta} left  {msg}";
            // The template is ours; if it were wrong, the plain bar would serve.
            bar.set_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar.set_prefix(target.title());
            bar
        });
        let ended = tally.done + tally.rejected + tally.expired;
        bar.set_position(ended);
        bar.set_message(format!("capacity {capacity} at {:.0} s", now.as_secs_f64()));
        if ended >= messages {
            bar.abandon();
        }
    }
}
