//! A run that is small enough to keep: of a day's samples and looks, those that show something.

use super::{Decision, Run, Sample, Target};

/// Samples of a target that are kept at most, and its looks: a run of two hours has fewer.
const SAMPLES: usize = 8000;
const LOOKS: usize = 4000;

impl Run {
    /// The run with fewer samples and looks, where it has many. Peaks and both ends stay, and changes of capacity with their
    /// moments as long as there is room for them; a warning says how many are left.
    pub fn thinned(&self) -> Self {
        let mut run = self.clone();
        let mut left = Vec::new();
        for (kind, target) in run.targets.iter_mut() {
            let before = (target.samples.len(), target.decisions.len());
            // What is in use is reckoned over all samples.
            let room = target.capacity_seconds.or_else(|| Some(room(&target.samples)));
            thin(target);
            if before != (target.samples.len(), target.decisions.len()) {
                target.capacity_seconds = room;
                left.push(format!(
                    "{} of {} samples and {} of {} looks of {kind}",
                    target.samples.len(),
                    before.0,
                    target.decisions.len(),
                    before.1
                ));
            }
        }
        if !left.is_empty() {
            run.warnings.push(format!("run.json holds {}: --full keeps them all", left.join(", ")));
        }
        run
    }
}

/// Capacity × time, each sample until the next.
pub fn room(samples: &[Sample]) -> f64 {
    samples.windows(2).map(|pair| f64::from(pair[0].capacity) * (pair[1].t - pair[0].t)).sum()
}

fn thin(target: &mut Target) {
    let samples = kept_samples(&target.samples);
    target.samples = samples.into_iter().map(|at| target.samples[at]).collect();
    let looks = kept_looks(&target.decisions);
    if looks.len() < target.decisions.len() {
        target.decisions = looks.into_iter().map(|at| target.decisions[at].clone()).collect();
    }
}

/// Of every group of neighbours the highest backlog and the highest capacity, and both ends. Both sides of every change of
/// capacity as well where they are few, so that nothing is lost of what is paid by the second.
fn kept_samples(samples: &[Sample]) -> Vec<usize> {
    if samples.len() <= SAMPLES {
        return (0..samples.len()).collect();
    }
    let group = samples.len().div_ceil(SAMPLES / 4);
    let peak = |from: usize, of: fn(&Sample) -> u64| {
        let to = (from + group).min(samples.len());
        (from..to).max_by_key(|at| (of(&samples[*at]), std::cmp::Reverse(*at)))
    };
    let groups = (0..samples.len()).step_by(group);
    let peaks = groups.flat_map(|from| [peak(from, Target::backlog), peak(from, |s| s.capacity.into())]).flatten();
    let mut kept: Vec<usize> = peaks.chain([0, samples.len() - 1]).collect();
    let changes = (1..samples.len()).filter(|at| samples[*at].capacity != samples[*at - 1].capacity);
    let changes: Vec<usize> = changes.flat_map(|at| [at - 1, at]).collect();
    if changes.len() <= SAMPLES / 2 - 2 {
        kept.extend(changes);
    }
    kept.sort_unstable();
    kept.dedup();
    kept
}

/// Looks that changed the capacity, or that came to something else than the one before them. Where these are too many, an
/// even part of them.
fn kept_looks(looks: &[Decision]) -> Vec<usize> {
    if looks.len() <= LOOKS {
        return (0..looks.len()).collect();
    }
    let news = |at: usize| {
        let look = &looks[at];
        at == 0 || look.from != look.to || looks[at - 1].reason != look.reason || looks[at - 1].by != look.by
    };
    let kept: Vec<usize> = (0..looks.len()).filter(|at| news(*at) || *at == looks.len() - 1).collect();
    let every = kept.len().div_ceil(LOOKS).max(1);
    let last = kept.len() - 1;
    (0..kept.len()).filter(|n| n % every == 0 || *n == last).map(|n| kept[n]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::{DecidedBy, Targets};
    use crate::scenario::Scenario;
    use crate::target::TargetKind;
    use twinscale_scaling::{Reason, Scaler};

    fn run(samples: Vec<Sample>, decisions: Vec<Decision>) -> Run {
        let target = Target { samples, decisions, ..Target::default() };
        Run::simulated(&Scenario::default(), Targets::from([(TargetKind::Eks, target)]))
    }

    #[test]
    fn a_day_keeps_its_peaks_and_what_its_pods_cost() {
        let sample = |t: u32| {
            let capacity = if (30_000..50_000).contains(&t) { 7 } else { 2 + u32::from(t % 10_000 == 77) };
            Sample { t: t.into(), visible: u64::from(t == 40_123) * 900, in_flight: 1, capacity }
        };
        let all: Vec<Sample> = (0..86_400).map(sample).collect();
        let look = |t: u32| Decision {
            t: f64::from(t) * 15.0,
            from: 2,
            to: 2 + u32::from(t == 2000),
            by: DecidedBy::Scaler(Scaler::Hpa),
            reason: Some(if t.is_multiple_of(500) { Reason::TooFewReplicas } else { Reason::DesiredWithinRange }),
            detail: "seen".to_owned(),
        };
        let looks: Vec<Decision> = (0..5760).map(look).collect();
        let thin = run(all.clone(), looks).thinned();
        let target = thin.targets.get(TargetKind::Eks).expect("it ran");
        assert!(target.samples.len() <= SAMPLES && target.decisions.len() <= LOOKS);
        assert_eq!((room(&target.samples), target.capacity_seconds), (room(&all), Some(room(&all))));
        for t in [0.0, 40_123.0, 29_999.0, 30_000.0, 86_399.0] {
            assert!(target.samples.iter().any(|sample| sample.t == t), "{t}");
        }
        assert_eq!(target.changes().count(), 1);
        assert!(
            thin.warnings[0].contains("of 86400 samples and ") && thin.warnings[0].contains("--full"),
            "{:?}",
            thin.warnings
        );
        // Once more changes nothing.
        assert_eq!(thin.thinned(), thin);
    }

    #[test]
    fn what_is_short_stays_whole() {
        let sample = |t: u32| Sample { t: t.into(), visible: 1, in_flight: 1, capacity: t % 3 };
        let short = run((0..7200).map(sample).collect(), Vec::new());
        assert_eq!(short.thinned(), short);
        // A capacity that changes every second does not keep a day whole.
        let restless = run((0..86_400).map(sample).collect(), Vec::new());
        let thin = restless.thinned();
        let target = thin.targets.get(TargetKind::Eks).expect("it ran");
        assert!(target.samples.len() <= SAMPLES, "{}", target.samples.len());
        assert_eq!(
            target.capacity_seconds,
            Some(room(&restless.targets.get(TargetKind::Eks).expect("it ran").samples))
        );
    }
}
