//! One field of a cron expression: the numbers that it matches.

use crate::{InvalidTiming, shown};

/// The rules for a field.
pub(crate) struct Kind {
    /// The name of the field, for errors.
    pub(crate) name: &'static str,
    pub(crate) min: u32,
    pub(crate) max: u32,
    /// The names of the numbers, the first for `min`.
    pub(crate) names: &'static [&'static str],
}

pub(crate) const SECOND: Kind = Kind { name: "second", min: 0, max: 59, names: &[] };
pub(crate) const MINUTE: Kind = Kind { name: "minute", min: 0, max: 59, names: &[] };
pub(crate) const HOUR: Kind = Kind { name: "hour", min: 0, max: 23, names: &[] };
pub(crate) const DAY: Kind = Kind { name: "day of month", min: 1, max: 31, names: &[] };
pub(crate) const MONTH: Kind = Kind {
    name: "month",
    min: 1,
    max: 12,
    names: &[
        "january",
        "february",
        "march",
        "april",
        "may",
        "june",
        "july",
        "august",
        "september",
        "october",
        "november",
        "december",
    ],
};
/// The weekdays as crontab(5) counts them: 0 and 7 are Sunday, 1 is Monday.
pub(crate) const WEEKDAY: Kind = Kind {
    name: "weekday",
    min: 0,
    max: 7,
    names: &["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"],
};
pub(crate) const YEAR: Kind = Kind { name: "year", min: 1970, max: 2100, names: &[] };

/// A parsed field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Field {
    /// The numbers that the field matches, ascending; `None` for all numbers.
    pub(crate) numbers: Option<Vec<u32>>,
    /// True when the field begins with `*`: cron then counts it as unrestricted.
    pub(crate) star: bool,
}

impl Field {
    /// Makes a field that matches one number: for a macro such as `@daily`, or for a field that is
    /// left out.
    pub(crate) fn only(number: u32) -> Self {
        Self { numbers: Some(vec![number]), star: false }
    }

    /// Makes a field that matches all numbers.
    pub(crate) fn any() -> Self {
        Self { numbers: None, star: true }
    }

    /// Reads a list such as `1,5-10,*/20`.
    pub(crate) fn read(kind: &Kind, text: &str) -> Result<Self, InvalidTiming> {
        if text == "*" || text == "?" && (kind.name == DAY.name || kind.name == WEEKDAY.name) {
            return Ok(Self::any());
        }
        let mut set = vec![];
        for part in text.split(',') {
            kind.read_part(part, &mut set)?;
        }
        if kind.name == WEEKDAY.name {
            // Both 0 and 7 are Sunday.
            set.iter_mut().for_each(|day| *day %= 7);
        }
        set.sort_unstable();
        set.dedup();
        Ok(Self { numbers: Some(set), star: text.starts_with('*') })
    }

    /// Returns true when the field matches these numbers and no others, of all that there are.
    pub(crate) fn is(&self, kind: &Kind, numbers: impl Iterator<Item = u32>) -> bool {
        match &self.numbers {
            Some(own) => !own.is_empty() && numbers.eq(own.iter().copied()),
            None => numbers.eq(kind.min..=kind.last()),
        }
    }

    /// Returns the field as a text for the `cron` crate, whose weekdays have other numbers.
    pub(crate) fn translated(&self, kind: &Kind) -> String {
        let Some(numbers) = &self.numbers else { return "*".into() };
        let number = |n: &u32| match WEEKDAY.names.get(*n as usize) {
            Some(name) if kind.name == WEEKDAY.name => name[..3].to_owned(),
            _ => n.to_string(),
        };
        numbers.iter().map(number).collect::<Vec<_>>().join(",")
    }
}

impl Kind {
    /// Reads one part of a list: a number, a name or a range, with or without a step.
    fn read_part(&self, part: &str, set: &mut Vec<u32>) -> Result<(), InvalidTiming> {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, Some(self.read_step(step)?)),
            None => (part, None),
        };
        let (from, to) = match range.split_once('-') {
            _ if range == "*" => (self.min, self.last()),
            Some((from, to)) => {
                let (from, to) = (self.read_number(from)?, self.read_number(to)?);
                // crontab(5) lets a week end on Sunday: Fri-Sun is 5-7.
                let to = if self.name == WEEKDAY.name && to == 0 && from > 0 { 7 } else { to };
                if from > to && self.name == WEEKDAY.name && from == self.max {
                    return Err(self.wrong(&format!(
                        "the range {:?} begins with Sunday as 7: write {}-{to}",
                        shown(range),
                        self.min
                    )));
                }
                if from > to {
                    return Err(self.wrong(&format!(
                        "the range {:?} runs backwards: split it, as in {}-{},{}-{}",
                        shown(range),
                        from,
                        self.last(),
                        self.min,
                        to
                    )));
                }
                (from, to)
            }
            // As in Quartz and the `cron` crate, `5/2` means every second number from 5 on.
            None if step.is_some() => {
                let from = self.read_number(range)?;
                if from > self.last() {
                    return Err(self.wrong(&format!(
                        "{:?} ends with its first day, Sunday: write 7, or 0/{} for steps from \
                         Sunday on",
                        shown(part),
                        step.unwrap_or(1)
                    )));
                }
                (from, self.last())
            }
            None => {
                let number = self.read_number(range)?;
                (number, number)
            }
        };
        set.extend((from..=to).step_by(step.unwrap_or(1) as usize));
        Ok(())
    }

    /// Returns the highest number: for weekdays 6, since 7 is Sunday like 0.
    fn last(&self) -> u32 {
        if self.name == WEEKDAY.name { 6 } else { self.max }
    }

    fn read_step(&self, text: &str) -> Result<u32, InvalidTiming> {
        let step = text.parse().ok().filter(|step| (1..=self.max).contains(step));
        step.ok_or_else(|| {
            let max = self.max;
            self.wrong(&format!("the step {:?} is no number from 1 to {max}", shown(text)))
        })
    }

    fn read_number(&self, text: &str) -> Result<u32, InvalidTiming> {
        let Self { min, max, .. } = self;
        if text.is_empty() {
            return Err(self.wrong("a number is missing"));
        }
        if text.bytes().all(|byte| byte.is_ascii_digit()) {
            let number = text.parse().ok().filter(|number| (min..=max).contains(&number));
            return number.ok_or_else(|| {
                self.wrong(&format!("{} is not between {min} and {max}", shown(text)))
            });
        }
        let lower = text.to_ascii_lowercase();
        let named = |name: &&str| lower == **name || lower == name[..3];
        if let Some(at) = self.names.iter().position(named) {
            return Ok(min + u32::try_from(at).unwrap_or_default());
        }
        if lower.contains(['l', 'w', '#'])
            && self.names.iter().all(|name| !lower.contains(&name[..3]))
        {
            return Err(self.wrong(&format!("{:?}: L, W and # are not supported", shown(text))));
        }
        let or_names = match self.names.first() {
            Some(first) => format!(" or a name such as {}", &first[..3]),
            None => String::new(),
        };
        Err(self.wrong(&format!("{:?} is no number from {min} to {max}{or_names}", shown(text))))
    }

    fn wrong(&self, why: &str) -> InvalidTiming {
        InvalidTiming::new(format!("{}: {why}", self.name))
    }
}
