//! `scalingModifiers`: one formula over the metrics of all triggers, in the Expr language that KEDA uses.

use expr::{Context, Value};
use serde::{Deserialize, Serialize};

use super::{MetricType, Trigger};

/// The composite metric of a ScaledObject. It replaces those of the triggers, for the operator and for the HPA.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ScalingModifiers {
    /// Over the triggers' names: `+ - * / ( )`, comparisons, `? :`, `min`, `max`, `count` and what else Expr has.
    pub formula: String,
    /// The result that one replica is for.
    pub target: f64,
    /// Active if the result is above it (0).
    #[serde(default)]
    pub activation_target: f64,
    /// How the HPA reads the result.
    #[serde(default)]
    pub metric_type: MetricType,
}

impl ScalingModifiers {
    /// The formula's result, for what was read of each trigger; one that was not read counts as 0. As KEDA does with
    /// every metric, what is negative or no number becomes 0.
    pub(super) fn value(&self, triggers: &[Trigger], reads: &[Option<u64>]) -> Result<f64, String> {
        let mut context = Context::default();
        for (trigger, read) in triggers.iter().zip(reads) {
            if let Some(name) = &trigger.name {
                context.insert(name.clone(), read.unwrap_or(0) as f64);
            }
        }
        match expr::eval(&self.formula, &context) {
            Ok(Value::Float(value)) => Ok(if value.is_finite() { value.max(0.0) } else { 0.0 }),
            Ok(Value::Integer(value)) => Ok(value.max(0) as f64),
            Ok(other) => Err(format!("'{}' gives {other}, which is no number", self.formula)),
            Err(error) => Err(format!("'{}': {error}", self.formula)),
        }
    }

    pub(super) fn target_milli(&self) -> u64 {
        (self.target * 1000.0) as u64
    }

    pub(super) fn mistakes(&self, triggers: &[Trigger]) -> Vec<(&'static str, String)> {
        let mut mistakes = Vec::new();
        if !(0.001..=1e12).contains(&self.target) {
            mistakes.push(("target", format!("{}: write a number above 0", self.target)));
        }
        if self.activation_target.is_nan() {
            mistakes.push(("activationTarget", "write a number".to_owned()));
        }
        // Some formulas divide: tried with a message in each.
        if let Err(error) = self.value(triggers, &vec![Some(1); triggers.len()]) {
            mistakes.push(("formula", error));
        }
        mistakes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(formula: &str) -> Result<f64, String> {
        let modifiers = ScalingModifiers {
            formula: formula.to_owned(),
            target: 5.0,
            activation_target: 0.0,
            metric_type: MetricType::AverageValue,
        };
        let named = |name: &str| Trigger { name: Some(name.to_owned()), ..Trigger::default() };
        modifiers.value(&[named("orders"), named("mails")], &[Some(30), Some(12)])
    }

    #[test]
    fn arithmetic_choices_and_lists_are_worked_out() {
        for (formula, expected) in [
            ("orders + mails", 42.0),
            ("(orders + mails * 2) / 4", 13.5),
            ("orders - mails - 100", 0.0),
            ("max(orders, mails)", 30.0),
            ("min(orders, mails) ^ 2", 144.0),
            ("orders > 20 && mails > 20 ? 99 : 1", 1.0),
            ("count([orders, mails], {# > 10}) > 1 ? orders : 0", 30.0),
            ("orders / 0", 0.0),
            ("sum([orders, mails])", 42.0),
            ("float(orders) * 0.5", 15.0),
        ] {
            assert_eq!(value(formula), Ok(expected), "{formula}");
        }
    }

    #[test]
    fn what_is_no_formula_over_the_triggers_is_refused() {
        for formula in ["orders +", "letters * 2", "orders > 3", "'many'", "now()"] {
            assert!(value(formula).is_err(), "{formula}: {:?}", value(formula));
        }
    }
}
