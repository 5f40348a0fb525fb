//! Reads variables one by one and keeps every mistake. A mistaken variable reads as its default, so that reading goes
//! on to the next mistake; [`Reader::finish`] lets nothing out if there was one.

use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use super::{Config, ConfigError, ConfigErrors, Lookup};

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
        let variable = variable.to_owned();
        let value = Some(value.to_owned());
        let advice = advice.to_owned();
        self.errors.push(ConfigError { variable, value, advice });
    }

    pub(super) fn need_queue(&mut self, config: &Config) {
        if config.queue_url.is_none() {
            self.missing("QUEUE_URL", "write the URL or the name of the queue");
        }
    }

    pub(super) fn missing(&mut self, variable: &str, advice: &str) {
        self.errors.push(ConfigError { variable: variable.to_owned(), value: None, advice: advice.to_owned() });
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

    pub(super) fn count(&mut self, variable: &str, default: usize, bounds: RangeInclusive<u64>) -> usize {
        self.optional(variable, bounds).map_or(default, |count| count as usize)
    }

    pub(super) fn millis(&mut self, variable: &str, default: Duration, bounds: RangeInclusive<u64>) -> Duration {
        self.optional(variable, bounds).map_or(default, Duration::from_millis)
    }

    pub(super) fn secs(&mut self, variable: &str, default: Duration, bounds: RangeInclusive<u64>) -> Duration {
        self.optional(variable, bounds).map_or(default, Duration::from_secs)
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

    /// One of the words.
    pub(super) fn one_of<'w>(&mut self, variable: &str, default: &'w str, words: &[&'w str]) -> &'w str {
        let Some(text) = self.text(variable) else { return default };
        let word = words.iter().find(|word| word.eq_ignore_ascii_case(&text));
        word.copied().unwrap_or_else(|| {
            self.wrong(variable, &text, &format!("write {}", words.join(" or ")));
            default
        })
    }

    pub(super) fn parsed<T: FromStr>(&mut self, variable: &str, default: T, advice: &str) -> T {
        let Some(text) = self.text(variable) else { return default };
        text.parse().unwrap_or_else(|_| {
            self.wrong(variable, &text, advice);
            default
        })
    }
}
