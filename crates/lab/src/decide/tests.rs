use std::sync::{LazyLock, Mutex};

use super::*;
use crate::cost::prices;
use crate::scenario::Draft;
use crate::scenario::load::Load;

/// Sixty messages, once a day.
fn decided(goal: &str, heard: Heard) -> (Decided, Run) {
    let mut draft = Draft::of_load(Load::Burst, Some(60));
    draft.scenario.work.wait = "400ms".parse().expect("a wait");
    let scenario = draft.resolved().expect("a good scenario");
    let prices = prices::read(None).expect("built in");
    decide(
        &scenario,
        goal.parse().expect("a goal"),
        Effort { seeds: 2, draws: 5 },
        &prices,
        heard,
        &AtomicBool::new(false),
    )
}

/// What the tests look at; it is made once.
static FOUND: LazyLock<(Decided, Run)> = LazyLock::new(|| decided("p95<10s", &|_| ()));

#[test]
fn the_cheaper_of_two_that_meet_the_goal_is_chosen_with_the_figures_of_its_run() {
    let (found, run) = &*FOUND;
    let Choice::Cheaper(kind) = found.choice else { panic!("{:?}", found.choice) };
    let usd = |kind| found.contender(kind).and_then(|c| c.month_usd).expect("it has a bill");
    assert!(usd(kind) < usd(kind.other()));
    assert!(found.contenders.iter().all(|c| c.meets && c.failure.is_none()), "{:?}", found.contenders);
    assert_eq!(run.scenario, found.scenario);
    for contender in &found.contenders {
        let target = run.targets.get(contender.target).expect("it ran");
        assert_eq!(found.goal.figure(target), contender.seconds);
    }
    let draws = &found.uncertainty;
    assert_eq!((draws.draws, draws.cheaper.values().sum::<u64>() + draws.failed), (5, 5));
    let rates = &found.flips;
    assert!((rates.own_rate * 86_400.0 - 60.0).abs() < 1e-9 && rates.to >= rates.own_rate, "{rates:?}");
}

#[test]
fn the_same_question_has_the_same_answer_and_what_is_known_is_told_as_it_comes() {
    let heard = Mutex::new(Vec::new());
    let note = |reached: Reached| {
        let word = match reached {
            Reached::Simulated(_) => return,
            Reached::Tuned(advice) => advice.target.name(),
            Reached::Chosen(..) => "chosen",
        };
        heard.lock().expect("nothing panics with it").push(word);
    };
    let again = decided("p95<10s", &note).0;
    assert_eq!(again, FOUND.0);
    assert_eq!(*heard.lock().expect("it is over"), ["eks", "lambda", "chosen"]);
    let json = serde_json::to_string(&again).expect("JSON");
    assert_eq!(serde_json::from_str::<Decided>(&json).expect("reads"), again);
}

#[test]
fn what_is_told_to_stop_decides_by_what_it_has() {
    let scenario = Draft::of_load(Load::Burst, Some(60)).resolved().expect("a good scenario");
    let goal = "p95<60s".parse().expect("a goal");
    let prices = prices::read(None).expect("built in");
    let stop = AtomicBool::new(false);
    let stopped_at = |at: fn(&Reached) -> bool| {
        stop.store(false, Ordering::Relaxed);
        let heard = |reached: Reached| {
            stop.fetch_or(at(&reached), Ordering::Relaxed);
        };
        decide(&scenario, goal, Effort { seeds: 2, draws: 5 }, &prices, &heard, &stop).0
    };
    let told = |found: &Decided| crate::report::decision::text(found);
    // One target is tuned, and of the other nothing is known.
    let early = stopped_at(|reached| matches!(reached, Reached::Tuned(_)));
    assert_eq!(early.choice, Choice::Open);
    let text = told(&early);
    assert!(text.contains("Open: it was told to stop before both targets were searched"), "{text}");
    assert!(text.contains("Lambda: It was told to stop before a setting was tried."), "{text}");
    assert!(text.contains("EKS (KEDA) comes to $"), "{text}");
    // The answer is there, and how sure it is not.
    let later = stopped_at(|reached| matches!(reached, Reached::Chosen(..)));
    assert!(matches!(later.choice, Choice::Cheaper(_) | Choice::Either), "{:?}", later.choice);
    assert_eq!((later.uncertainty.draws, later.uncertainty.left_out), (0, 5));
    let text = told(&later);
    assert!(text.contains("It was told to stop before 3 of the other rates."), "{text}");
    assert!(text.contains("how sure     not drawn; it was told to stop before 5 draws more."), "{text}");
    assert!(text.contains("not known: it was told to stop before a rate was tried; your mean is"), "{text}");
}

#[test]
fn a_goal_that_nothing_meets_has_no_winner_and_says_what_came_nearest() {
    let (found, _) = decided("p50<10ms", &|_| ());
    assert_eq!(found.choice, Choice::Neither);
    assert!(found.contenders.iter().all(|c| !c.meets && c.seconds.is_some_and(|seconds| seconds > 0.4)));
    let told = crate::report::decision::text(&found);
    assert!(told.contains("Neither: nothing that was tried meets p50<10ms."), "{told}");
}

#[test]
fn bills_that_hardly_differ_and_targets_that_fail_the_goal_are_told_apart() {
    let mut pair = FOUND.0.contenders.clone();
    let mut with = |bills: [f64; 2], meets: [bool; 2]| {
        for ((contender, usd), meets) in pair.iter_mut().zip(bills).zip(meets) {
            (contender.month_usd, contender.meets) = (Some(usd), meets);
        }
        choice(&pair)
    };
    assert_eq!(with([100.0, 97.0], [true, true]), Choice::Either);
    assert_eq!(with([100.0, 90.0], [true, true]), Choice::Cheaper(TargetKind::Lambda));
    assert_eq!(with([90.0, 100.0], [true, true]), Choice::Cheaper(TargetKind::Eks));
    assert_eq!(with([100.0, 1.0], [true, false]), Choice::Alone(TargetKind::Eks));
    assert_eq!(with([100.0, 1.0], [false, false]), Choice::Neither);
}

#[test]
fn five_lines_say_which_by_how_much_what_limits_where_it_flips_and_how_sure() {
    let mut found = FOUND.0.clone();
    for (contender, usd) in found.contenders.iter_mut().zip([110.0, 30.5]) {
        (contender.month_usd, contender.seconds, contender.meets) = (Some(usd), Some(0.9), true);
        (contender.limit, contender.failure) = (None, None);
        contender.most_of_it = Some(Item { item: cost::CONTROL_PLANE.to_owned(), usd: 72.0 });
    }
    found.choice = Choice::Cheaper(TargetKind::Lambda);
    found.uncertainty = Uncertainty {
        draws: 100,
        failed: 1,
        cheaper: [(TargetKind::Lambda, 97), (TargetKind::Eks, 2)].into(),
        ..Uncertainty::default()
    };
    found.flips = Flips {
        own_rate: 34.72,
        from: 0.001,
        to: 316.0,
        cheaper_at_lowest: Some(TargetKind::Lambda),
        at: vec![Flip { rate: 120.0, to: TargetKind::Eks }],
        not_reached: Vec::new(),
    };
    let told = crate::report::decision::text(&found);
    let expected = [
        "which        Lambda: $30.50 a month with p95 900 ms, where both meet p95<10s.",
        "by how much  $79.50 a month less: EKS (KEDA) comes to $110.00 a month with p95 900 ms, of which $72.00 are for EKS \
         control plane.",
        "what limits  EKS (KEDA) keeps up as well: it is limited by its price alone.",
        "flips at     With an even load: 120 messages/s (10.4 M a day): Lambda is cheaper below, EKS (KEDA) above; your \
         mean is 35 messages/s (3.0 M a day).",
        "how sure     Lambda is cheaper in 97 of 100 draws of what the models had to estimate; in 1 a target fails, and \
         nothing is compared.",
    ];
    assert_eq!(told.lines().collect::<Vec<_>>(), expected);
    found.choice = Choice::Alone(TargetKind::Eks);
    (found.contenders[1].meets, found.contenders[1].limit) = (false, Some("the mapping's ramp: so".to_owned()));
    let told = crate::report::decision::text(&found);
    assert!(told.contains("EKS (KEDA): $110.00 a month with p95 900 ms; it alone meets p95<10s."), "{told}");
    assert!(told.contains("$79.50 a month more, which is what the goal costs: Lambda comes to $30.50"), "{told}");
    assert!(told.contains("Lambda is limited by the mapping's ramp: so."), "{told}");
    assert!(crate::report::decision::markdown(&found).starts_with("|  | |\n|---|---|\n| which | EKS (KEDA): "));
}
