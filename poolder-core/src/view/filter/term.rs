//! The conditions of a filter: when a job satisfies them, and how they are written.

use std::cmp::Ordering;
use std::fmt;
use std::time::Duration;

use serde_json::Value;

use crate::job::{JobState, Timestamp};
use crate::view::JobView;

/// A condition.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Term {
    /// One of these kinds.
    Kind(Vec<Pattern>),
    /// The message of the last failure contains this text, which is in lower case.
    Message(String),
    /// The leading digits of the id of the group of equal errors to which the last failure belongs.
    Error(String),
    Attempt(Compare, u32),
    Age(Compare, Duration),
    Node(String),
    Schedule(String),
    Tick(i64),
    Header(String, String),
    Payload(Vec<String>, Expected),
    /// The leading characters of the id.
    Id(String),
}

/// A text, or the beginning of one.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Pattern {
    pub(super) text: String,
    pub(super) is_prefix: bool,
}

/// How a number is compared.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Compare {
    Equal,
    AtLeast,
    AtMost,
    Above,
    Below,
}

/// A value of a payload; `text` is what was written without quotes, which a string may equal too.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Expected {
    pub(super) value: Value,
    pub(super) text: Option<String>,
}

impl Compare {
    fn holds<T: PartialOrd>(self, found: &T, limit: &T) -> bool {
        let order = found.partial_cmp(limit);
        match self {
            Self::Equal => order == Some(Ordering::Equal),
            Self::AtLeast => matches!(order, Some(Ordering::Equal | Ordering::Greater)),
            Self::AtMost => matches!(order, Some(Ordering::Equal | Ordering::Less)),
            Self::Above => order == Some(Ordering::Greater),
            Self::Below => order == Some(Ordering::Less),
        }
    }
}

impl Expected {
    /// Returns true when a value of a payload is the expected one.
    pub(super) fn is(&self, found: &Value) -> bool {
        match (found, &self.value) {
            (Value::String(found), _) if self.text.as_deref() == Some(found) => true,
            (Value::Number(found), Value::Number(wanted)) => {
                found == wanted || found.as_f64() == wanted.as_f64()
            }
            (found, wanted) => found == wanted,
        }
    }
}

impl Pattern {
    fn matches(&self, text: &str) -> bool {
        if self.is_prefix { text.starts_with(&self.text) } else { text == self.text }
    }
}

impl Term {
    /// Returns true when the job satisfies the condition. One about the payload is checked by the
    /// filter.
    pub(super) fn matches(&self, job: &JobView, now: Timestamp) -> bool {
        match self {
            Self::Kind(kinds) => {
                job.kind().is_some_and(|kind| kinds.iter().any(|known| known.matches(kind)))
            }
            Self::Message(text) => {
                job.failure().is_some_and(|it| it.message.to_lowercase().contains(text))
            }
            Self::Error(digits) => {
                job.error().is_some_and(|error| error.to_string().starts_with(digits))
            }
            Self::Attempt(compare, limit) => compare.holds(&job.attempt(), limit),
            Self::Age(compare, limit) => {
                let waits = matches!(job.state, JobState::Scheduled | JobState::Retrying);
                let age = if waits { Duration::ZERO } else { now.since(job.at) };
                compare.holds(&age, limit)
            }
            Self::Node(name) => job.node.as_deref().is_some_and(|node| {
                node == name || node.split_once(':').is_some_and(|(host, _)| host == name)
            }),
            Self::Schedule(name) => {
                let tick = job.envelope().and_then(|envelope| envelope.tick());
                tick.is_some_and(|tick| tick.schedule() == name)
            }
            Self::Tick(at) => {
                let tick = job.envelope().and_then(|envelope| envelope.tick());
                tick.is_some_and(|tick| tick.at().millis() == *at)
            }
            Self::Header(name, value) => job.headers().get(name) == Some(value),
            Self::Payload(..) => true,
            Self::Id(beginning) => job.id().to_string().starts_with(beginning),
        }
    }
}

/// Returns the value at a path.
pub(super) fn at<'a>(value: &'a Value, path: &[String]) -> Option<&'a Value> {
    path.iter().try_fold(value, |value, part| match value {
        Value::Object(entries) => entries.get(part),
        Value::Array(items) => items.get(part.parse::<usize>().ok()?),
        _ => None,
    })
}

/// Writes a text in quotes, unless it can stand without.
struct Quoted<'a>(&'a str, &'a [char]);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(text, special) = self;
        let is_odd =
            |c: char| c.is_whitespace() || c.is_control() || c == '"' || special.contains(&c);
        if text.is_empty() || text.contains(is_odd) {
            return f.write_str(&Value::from(*text).to_string());
        }
        f.write_str(text)
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = |text| Quoted(text, &[]);
        let name = |text| Quoted(text, &['.', '=', '~', '<', '>']);
        match self {
            Self::Kind(kinds) => {
                f.write_str("kind=")?;
                for (at, kind) in kinds.iter().enumerate() {
                    let comma = if at == 0 { "" } else { "," };
                    write!(f, "{comma}{}", Quoted(&kind.text, &[',', '*']))?;
                    f.write_str(if kind.is_prefix { "*" } else { "" })?;
                }
                Ok(())
            }
            Self::Message(text) => write!(f, "error~{}", plain(text)),
            Self::Error(digits) => write!(f, "error={digits}"),
            Self::Attempt(compare, limit) => write!(f, "attempt{compare}{limit}"),
            Self::Age(compare, limit) => write!(f, "age{compare}{}ms", limit.as_millis()),
            Self::Node(node) => write!(f, "node={}", plain(node)),
            Self::Schedule(schedule) => write!(f, "schedule={}", plain(schedule)),
            Self::Tick(at) => write!(f, "tick={at}"),
            Self::Header(header, value) => write!(f, "header.{}={}", name(header), plain(value)),
            Self::Payload(path, expected) => {
                f.write_str("payload")?;
                path.iter().try_for_each(|part| write!(f, ".{}", name(part)))?;
                match &expected.text {
                    Some(text) => write!(f, "={text}"),
                    None => write!(f, "={}", expected.value),
                }
            }
            Self::Id(beginning) => write!(f, "id={beginning}"),
        }
    }
}
