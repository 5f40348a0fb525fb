//! Reads variables one by one and keeps every mistake. A mistaken variable reads as its default, so that reading goes
//! on to the next mistake; [`Reader::finish`] lets nothing out if there was one.

use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use super::{Config, ConfigError, ConfigErrors, Lookup};
use crate::workload::parse_duration;

pub(super) struct Reader<'a> {
    lookup: Lookup<'a>,
    errors: Vec<ConfigError>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(lookup: Lookup<'a>) -> Self {
        Self { lookup, errors: Vec::new() }
    }

    pub(super) fn finish(self, config: Config) -> Result<Config, ConfigErrors> {
        if self.errors.is_empty() { Ok(config) } else { Err(ConfigErrors(self.errors)) }
    }

    pub(super) fn wrong(&mut self, variable: &str, value: &str, advice: &str) {
        let (variable, value, advice) = (variable.to_owned(), Some(value.to_owned()), advice.to_owned());
        self.errors.push(ConfigError { variable, value, advice });
    }

    pub(super) fn need_queue(&mut self, config: &Config) {
        if config.queue_url.is_none() {
            let advice = "write the URL or the name of the queue".to_owned();
            self.errors.push(ConfigError { variable: "QUEUE_URL".to_owned(), value: None, advice });
        }
    }

    /// A text; an empty one counts as unset, as templates that fill in nothing leave it.
    pub(super) fn text(&self, variable: &str) -> Option<String> {
        (self.lookup)(variable).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
    }

    pub(super) fn optional(&mut self, variable: &str, bounds: RangeInclusive<u64>) -> Option<u64> {
        let text = self.text(variable)?;
        let number = text.parse().ok().filter(|number| bounds.contains(number));
        if number.is_none() {
            let advice = format!("write a whole number from {} to {}", bounds.start(), bounds.end());
            self.wrong(variable, &text, &advice);
        }
        number
    }

    pub(super) fn number(&mut self, variable: &str, default: u64, bounds: RangeInclusive<u64>) -> u64 {
        self.optional(variable, bounds).unwrap_or(default)
    }

    pub(super) fn millis(&mut self, variable: &str, default: u64, bounds: RangeInclusive<u64>) -> Duration {
        Duration::from_millis(self.number(variable, default, bounds))
    }

    pub(super) fn fraction(&mut self, variable: &str, default: f64, bounds: RangeInclusive<f64>) -> f64 {
        let Some(text) = self.text(variable) else { return default };
        match text.parse().ok().filter(|number| bounds.contains(number)) {
            Some(number) => number,
            None => {
                self.wrong(variable, &text, &format!("write a number from {} to {}", bounds.start(), bounds.end()));
                default
            }
        }
    }

    /// A duration with its unit written out, as the workload's are.
    pub(super) fn duration(&mut self, variable: &str, default: Duration) -> Duration {
        let Some(text) = self.text(variable) else { return default };
        parse_duration(&text).unwrap_or_else(|| {
            self.wrong(variable, &text, "write a duration with its unit, such as 10ms or 2.5s");
            default
        })
    }

    pub(super) fn switch(&mut self, variable: &str, default: bool) -> bool {
        let Some(text) = self.text(variable) else { return default };
        match text.to_ascii_lowercase().as_str() {
            "on" | "true" | "1" => true,
            "off" | "false" | "0" => false,
            _ => {
                self.wrong(variable, &text, "write on or off");
                default
            }
        }
    }

    /// One of the words; the first is the default.
    pub(super) fn one_of(&mut self, variable: &str, words: &[&'static str]) -> &'static str {
        let Some(text) = self.text(variable) else { return words[0] };
        let word = words.iter().find(|word| word.eq_ignore_ascii_case(&text));
        word.copied().unwrap_or_else(|| {
            self.wrong(variable, &text, &format!("write {}", words.join(" or ")));
            words[0]
        })
    }

    pub(super) fn parsed<T: FromStr>(&mut self, variable: &str, default: &str, advice: &str) -> T {
        let text = self.text(variable).unwrap_or_else(|| default.to_owned());
        text.parse().unwrap_or_else(|_| {
            self.wrong(variable, &text, advice);
            default.parse().unwrap_or_else(|_| unreachable!("the default of {variable} parses"))
        })
    }
}
