//! The options of an envelope: the settings of a job besides its kind and payload.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::job::packed::{Form, Items, MAX_DEPTH, MapEntry, Unknown};
use crate::job::trace_parent::{read_bytes, write_bytes};
use crate::job::{
    Backoff, Error, Headers, Policy, Tick, TraceParent, clamped_duration, clamped_millis,
};
use crate::stored::unique::StoredUnique;

/// The flag of an envelope with options.
pub(super) const HAS_OPTIONS: u8 = 1;

/// The most bytes that the options of a job take, when they are written and when they are read.
pub(super) const MAX_OPTIONS: usize = 4096;

/// The options that this version knows: the name of each, and its meaning for an error.
const KNOWN: [(&str, &str); 17] = [
    ("g", "the group"),
    ("n", "the cost"),
    ("v", "the version"),
    ("a", "the number of attempts"),
    ("b", "the backoff"),
    ("t", "the timeout"),
    ("w", "the time for retries"),
    ("c", "the number of crashes"),
    ("e", "the retention of the completion record"),
    ("s", "the tick of the schedule"),
    ("r", "the call"),
    ("k", "the key"),
    ("h", "the map of headers"),
    ("p", "the trace context"),
    ("x", "the time after which it does not start"),
    ("d", "the time within which it starts"),
    ("U", "the unique key"),
];

/// The settings of a job besides its kind and payload. `None` stands for the default.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Options {
    /// The group of the job. It comes first, so that `sort.lua` finds it at once.
    #[serde(rename = "g", default, skip_serializing_if = "Option::is_none")]
    pub(super) group: Option<Box<str>>,
    /// The units that the job takes from the rates of its queue and group; `None` for 1.
    #[serde(rename = "n", default, skip_serializing_if = "Option::is_none")]
    pub(super) cost: Option<u32>,
    #[serde(rename = "v", default, skip_serializing_if = "Option::is_none")]
    pub(super) version: Option<u16>,
    #[serde(rename = "a", default, skip_serializing_if = "Option::is_none")]
    attempts: Option<u32>,
    #[serde(rename = "b", default, skip_serializing_if = "Option::is_none")]
    backoff: Option<StoredBackoff>,
    /// The timeout in milliseconds; 0 for no timeout.
    #[serde(rename = "t", default, skip_serializing_if = "Option::is_none")]
    timeout: Option<u64>,
    /// The time for retries after the first failure, in milliseconds.
    #[serde(rename = "w", default, skip_serializing_if = "Option::is_none")]
    retry_for: Option<u64>,
    #[serde(rename = "c", default, skip_serializing_if = "Option::is_none")]
    crashes: Option<u32>,
    /// The retention of the completion record in milliseconds; `None` writes none.
    #[serde(rename = "e", default, skip_serializing_if = "Option::is_none")]
    pub(super) completion_kept: Option<u64>,
    #[serde(rename = "s", default, skip_serializing_if = "Option::is_none")]
    pub(super) tick: Option<Tick>,
    /// `Some(true)` when a caller waits for the reply.
    #[serde(rename = "r", default, skip_serializing_if = "Option::is_none")]
    pub(super) call: Option<bool>,
    /// The hash of the key by which the slot of the job was picked; `None` when the key is the
    /// payload.
    #[serde(rename = "k", default, skip_serializing_if = "Option::is_none")]
    pub(super) key: Option<u64>,
    #[serde(rename = "h", default, skip_serializing_if = "Headers::is_empty")]
    headers: Headers,
    #[serde(
        rename = "p",
        default,
        skip_serializing_if = "Option::is_none",
        serialize_with = "write_bytes",
        deserialize_with = "read_bytes"
    )]
    pub(super) trace_parent: Option<TraceParent>,
    /// The time after which the job does not start for the first time, in milliseconds since 1970.
    #[serde(rename = "x", default, skip_serializing_if = "Option::is_none")]
    pub(super) expires_at: Option<i64>,
    /// The time within which the job starts, in milliseconds from its publishing.
    #[serde(rename = "d", default, skip_serializing_if = "Option::is_none")]
    pub(super) expires_in: Option<u64>,
    #[serde(rename = "U", default, skip_serializing_if = "Option::is_none")]
    pub(super) unique: Option<StoredUnique>,
    /// The entries of later versions.
    #[serde(skip)]
    unknown: Unknown,
    /// The name of the first entry of `unknown` that a node must understand to run the job.
    #[serde(skip)]
    requirement: Option<String>,
}

/// A backoff in milliseconds. The default backoff is never stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum StoredBackoff {
    #[serde(rename = "e")]
    Exponential(u64, u64),
    #[serde(rename = "l")]
    Linear(u64, u64),
    #[serde(rename = "f")]
    Fixed(u64),
    #[serde(rename = "s")]
    List(Vec<u64>),
    #[serde(rename = "p")]
    Polynomial,
}

impl Options {
    pub(crate) fn of(version: u16, policy: Option<&Policy>) -> Self {
        let version = (version != 1).then_some(version);
        Self { version, ..policy.map(Self::of_policy).unwrap_or_default() }
    }

    /// Stores the parts of a policy that differ from the default. Of a policy that is the default
    /// one, the number of attempts is stored: a job with a policy of its own has at least one part.
    fn of_policy(policy: &Policy) -> Self {
        let usual = Policy::default();
        let millis = |duration: Duration| clamped_millis(duration).unsigned_abs();
        Self {
            attempts: (policy.attempts != usual.attempts || *policy == usual)
                .then_some(policy.attempts),
            backoff: (policy.backoff != usual.backoff).then(|| match &policy.backoff {
                Backoff::Polynomial => StoredBackoff::Polynomial,
                Backoff::Exponential { base, cap } => {
                    StoredBackoff::Exponential(millis(*base), millis(*cap))
                }
                Backoff::Linear { step, cap } => StoredBackoff::Linear(millis(*step), millis(*cap)),
                Backoff::Fixed(wait) => StoredBackoff::Fixed(millis(*wait)),
                Backoff::List(waits) => {
                    StoredBackoff::List(waits.iter().map(|wait| millis(*wait)).collect())
                }
            }),
            timeout: (policy.timeout != usual.timeout)
                .then(|| policy.timeout.map_or(0, |timeout| millis(timeout).max(1))),
            retry_for: policy.retry_for.map(millis),
            crashes: (policy.crashes != usual.crashes).then_some(policy.crashes),
            ..Self::default()
        }
    }

    /// Replaces the policy, and keeps everything else.
    pub(super) fn with_policy(self, policy: &Policy) -> Self {
        let Self { attempts, backoff, timeout, retry_for, crashes, .. } = Self::of_policy(policy);
        Self { attempts, backoff, timeout, retry_for, crashes, ..self }
    }

    /// Replaces the headers, and keeps everything else.
    pub(crate) fn with_headers(self, headers: &Headers) -> Self {
        Self { headers: headers.clone(), ..self }
    }

    /// Returns the headers.
    pub(crate) fn headers(&self) -> &Headers {
        &self.headers
    }

    /// Returns the stored policy; `None` when no part of one is stored, and when it is not allowed.
    pub(crate) fn policy(&self) -> Option<Policy> {
        let Self { attempts, backoff, timeout, retry_for, crashes, .. } = self;
        let limits = [attempts, crashes].into_iter().any(Option::is_some);
        let times = [timeout, retry_for].into_iter().any(Option::is_some);
        if !(limits || times || backoff.is_some()) {
            return None;
        }
        let (usual, ms) = (Policy::default(), clamped_duration);
        let read = Policy {
            attempts: self.attempts.unwrap_or(usual.attempts),
            backoff: match self.backoff.clone() {
                None | Some(StoredBackoff::Polynomial) => Backoff::Polynomial,
                Some(StoredBackoff::Exponential(base, cap)) => {
                    Backoff::Exponential { base: ms(base), cap: ms(cap) }
                }
                Some(StoredBackoff::Linear(step, cap)) => {
                    Backoff::Linear { step: ms(step), cap: ms(cap) }
                }
                Some(StoredBackoff::Fixed(wait)) => Backoff::Fixed(ms(wait)),
                Some(StoredBackoff::List(waits)) => {
                    Backoff::List(waits.into_iter().map(ms).collect())
                }
            },
            timeout: match self.timeout {
                None => usual.timeout,
                Some(0) => None,
                Some(timeout) => Some(ms(timeout)),
            },
            retry_for: self.retry_for.map(ms),
            crashes: self.crashes.unwrap_or(usual.crashes),
        };
        read.check().is_ok().then_some(read)
    }

    /// Returns the name of the first option that a node must understand, and that is unknown or of an
    /// unknown form.
    pub(super) fn requirement(&self) -> Option<&str> {
        let unknown = self.unique.as_ref().is_some_and(|unique| unique.read().is_none());
        self.requirement.as_deref().or(unknown.then_some("U"))
    }

    /// Appends the length and the bytes of the options to an envelope, and sets its flag. Options
    /// that are all at their defaults are not stored; returns whether they are.
    ///
    /// # Errors
    /// [`Error::is_invalid`] for more than [`MAX_OPTIONS`] bytes.
    pub(super) fn append(&self, kind: &str, envelope: &mut Vec<u8>) -> Result<bool, Error> {
        if *self == Self::default() {
            return Ok(false);
        }
        let map = self.encode()?;
        let length = u16::try_from(map.len()).unwrap_or(u16::MAX);
        if map.len() > MAX_OPTIONS {
            let (name, size) = largest(&map);
            return Err(Error::invalid(format!(
                "the options of the job of kind {kind:?} take {} bytes, the most is {MAX_OPTIONS}, \
                 and {name} alone takes {size}: make it shorter, or put the data into the payload",
                map.len()
            )));
        }
        envelope[1] |= HAS_OPTIONS;
        envelope.extend(length.to_be_bytes());
        envelope.extend(map);
        Ok(true)
    }

    fn encode(&self) -> Result<Vec<u8>, Error> {
        let fail = |error: &dyn std::fmt::Display| {
            Error::codec(format!("the options cannot be stored: {error}"))
        };
        let known = rmp_serde::to_vec_named(self).map_err(|error| fail(&error))?;
        if self.unknown.count == 0 {
            return Ok(known);
        }
        let entries = Items::new(Form::Map, &known).map_err(|error| fail(&error))?;
        let mut map = Vec::with_capacity(known.len() + self.unknown.bytes.len() + 2);
        Form::Map.write_header(entries.left() / 2 + self.unknown.count, &mut map);
        map.extend(entries.rest());
        map.extend(&self.unknown.bytes);
        Ok(map)
    }

    /// Reads a stored map of options.
    ///
    /// # Errors
    /// [`Error::is_codec`] when the bytes are not a map, when a key is not text, when a known entry
    /// is of another type or occurs twice, and when a value is nested too deeply.
    pub(super) fn read(map: &[u8]) -> Result<Self, Error> {
        let mut entries = Items::new(Form::Map, map)?;
        let mut reader = rmp_serde::Deserializer::new(map);
        reader.set_max_depth(MAX_DEPTH);
        let mut read =
            Self::deserialize(&mut reader).map_err(|error| Error::codec(error.to_string()))?;
        while entries.left() > 0 {
            let MapEntry { key, bytes, .. } = entries.entry()?;
            if KNOWN.iter().any(|(known, _)| *known == key) {
                continue;
            }
            if read.requirement.is_none() && key.starts_with(|c: char| c.is_ascii_uppercase()) {
                read.requirement = Some(key.to_owned());
            }
            read.unknown.push(bytes);
        }
        entries.end()?;
        Ok(read)
    }
}

/// Returns the description of the largest entry of a map of options, and its size in bytes.
fn largest(map: &[u8]) -> (String, usize) {
    let mut largest = (String::new(), 0);
    let Ok(mut entries) = Items::new(Form::Map, map) else { return largest };
    while let Ok(MapEntry { key, bytes, .. }) = entries.entry() {
        if bytes.len() > largest.1 {
            let known = KNOWN.iter().find(|(known, _)| *known == key);
            let name = known.map_or_else(|| format!("the option {key:?}"), |it| it.1.to_owned());
            largest = (name, bytes.len());
        }
    }
    largest
}

#[cfg(test)]
pub(crate) mod tests;
