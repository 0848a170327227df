//! The stored options of a batcher, and the check that two programs declare the same options.

use redis::Value;
use serde::{Deserialize, Serialize};

use super::{BatchOptions, BatcherHome};
use crate::broker::connection::reply;
use crate::broker::{Broker, scripts};
#[cfg(feature = "testing")]
use crate::captured::BatcherRules;
use crate::job::{Error, Format, JobId, Policy, clamped_duration, clamped_millis};
use crate::stored::{Envelope, Options};

/// The stored form: JSON, readable without Poolder. An option that is added in a later version must
/// be left out while it has its default, so that a new version of Poolder agrees with an old one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct StoredOptions {
    limit: u32,
    timeout_ms: Option<i64>,
    max_bytes: Option<u64>,
    max_waiting: Option<u64>,
    max_groups: u32,
    reverse: bool,
    job: Options,
}

impl BatchOptions {
    /// Returns the policy to store; `None` for the default one.
    fn own_policy(&self) -> Option<&Policy> {
        (self.policy != Policy::default()).then_some(&self.policy)
    }

    fn stored(&self) -> StoredOptions {
        StoredOptions {
            limit: self.limit,
            timeout_ms: self.timeout.map(clamped_millis),
            max_bytes: self.max_bytes,
            max_waiting: self.max_waiting,
            max_groups: self.max_groups,
            reverse: self.lifo,
            job: Options::of(1, self.own_policy())
                .with_headers(&self.headers)
                .with_expires_in(self.expires_in),
        }
    }

    fn from_stored(revision: Value, text: Value) -> Result<Self, Error> {
        let revision = u32::try_from(reply::int(revision)?).unwrap_or(u32::MAX);
        let text = reply::text(text)?;
        let stored: StoredOptions = serde_json::from_str(&text).map_err(|error| {
            Error::protocol(format!("the stored options of a batcher cannot be read: {error}"))
        })?;
        let millis = |ms: i64| clamped_duration(u64::try_from(ms).unwrap_or(0));
        let options = Self {
            limit: stored.limit,
            timeout: stored.timeout_ms.map(millis),
            max_bytes: stored.max_bytes,
            max_waiting: stored.max_waiting,
            max_groups: stored.max_groups,
            lifo: stored.reverse,
            policy: stored.job.policy().unwrap_or_default(),
            headers: stored.job.headers().clone(),
            expires_in: stored.job.expires_in(),
            revision,
        };
        // Scripts use these numbers unchecked.
        options.check().map_err(|error| {
            Error::protocol(format!("the stored options of a batcher are invalid: {error}"))
        })?;
        Ok(options)
    }

    /// Returns the error for a batcher that is in use with other options.
    fn in_use(&self, home: &BatcherHome, stored: &Self) -> Error {
        Error::invalid(format!(
            "batcher {:?} on queue {} is in use with other options ({}): if they have changed, \
             give them revision {}; if this is another batcher, give it another name",
            home.name(),
            home.partition().queue,
            self.differences(stored),
            stored.revision.saturating_add(1),
        ))
    }

    /// Returns the rules that the queue of a test follows.
    #[cfg(feature = "testing")]
    fn rules(&self, form: Envelope) -> BatcherRules {
        BatcherRules {
            revision: self.revision,
            text: json_text(self),
            form,
            limit: usize::try_from(self.limit).unwrap_or(usize::MAX),
            timeout: self.timeout,
            max_bytes: self.max_bytes,
            max_waiting: self.max_waiting,
            max_groups: usize::try_from(self.max_groups).unwrap_or(usize::MAX),
        }
    }

    #[cfg(feature = "testing")]
    fn of_rules(rules: &BatcherRules) -> Result<Self, Error> {
        let text = Value::BulkString(rules.text.clone().into());
        Self::from_stored(Value::Int(rules.revision.into()), text)
    }

    /// Lists the options that differ, as text for an error.
    fn differences(&self, stored: &Self) -> String {
        let (here, there) = (json(&self.stored()), json(&stored.stored()));
        let (Some(here), Some(there)) = (here.as_object(), there.as_object()) else {
            return String::new();
        };
        let words = here.iter().filter(|(name, value)| there.get(*name) != Some(value));
        let words: Vec<String> = words
            .map(|(name, value)| {
                let name = if name == "job" { "retry, headers or expires_in" } else { name };
                let stored = there.get(name).or_else(|| there.get("job"));
                let stored = stored.map(ToString::to_string).unwrap_or_default();
                format!("{name} is {stored} there and {value} here")
            })
            .collect();
        words.join(", ")
    }
}

fn json(stored: &StoredOptions) -> serde_json::Value {
    serde_json::to_value(stored).unwrap_or_default()
}

impl Broker {
    /// Stores a batcher's options, or compares them with the stored ones. Returns the options in
    /// force: those of a later revision, when a later one is stored.
    ///
    /// # Errors
    /// [`Error::is_invalid`] for invalid options, and when other options are stored under the same
    /// revision.
    pub async fn declare_batcher(
        &self,
        home: &BatcherHome,
        options: &BatchOptions,
    ) -> Result<BatchOptions, Error> {
        options.check()?;
        // The envelope of a batch job without id and payload, which the scripts add.
        let no_id = JobId::from_bytes([0; 16]);
        let no_payload = |_: &mut Vec<u8>| Ok(());
        let mut form = Envelope::build(
            no_id,
            &home.kind(),
            1,
            options.own_policy(),
            Format::MessagePack,
            no_payload,
        )?
        .with_headers(&options.headers)?;
        if let Some(time) = options.expires_in {
            form = form.expiring_in(time)?;
        }
        #[cfg(feature = "testing")]
        if let Some(captured) = self.captured() {
            let (partition, name) = (home.partition(), home.name());
            let (rules, differs) = captured.declare_batcher(partition, name, options.rules(form));
            let stored = BatchOptions::of_rules(&rules)?;
            return if differs { Err(options.in_use(home, &stored)) } else { Ok(stored) };
        }
        let (form, keys) = (form.as_bytes(), self.keys(home.partition()));
        let batcher = keys.batcher(home.name());
        let mut cmd = scripts::call(&scripts::BATCHER_DECLARE, [batcher.as_str()]);
        cmd.arg(options.revision).arg(json_text(options)).arg(&form[..2]).arg(&form[18..]);
        let reply = self.command(&cmd).await?;
        let [verdict, revision, stored] = reply::items::<3>(reply)?;
        let stored = BatchOptions::from_stored(revision, stored)?;
        if reply::text(verdict)? != "OTHER" {
            return Ok(stored);
        }
        Err(options.in_use(home, &stored))
    }

    /// Returns a batcher's stored options.
    ///
    /// # Errors
    /// [`Error::is_not_found`] when the batcher was never declared.
    pub async fn batcher_options(&self, home: &BatcherHome) -> Result<BatchOptions, Error> {
        #[cfg(feature = "testing")]
        if let Some(captured) = self.captured() {
            let rules = captured.batcher(home.partition(), home.name());
            return BatchOptions::of_rules(&rules.ok_or_else(|| undeclared(home))?);
        }
        let mut cmd = redis::cmd("HMGET");
        cmd.arg(self.keys(home.partition()).batcher(home.name())).arg("revision").arg("options");
        let [revision, options] = reply::items::<2>(self.command(&cmd).await?)?;
        if revision == Value::Nil {
            return Err(undeclared(home));
        }
        BatchOptions::from_stored(revision, options)
    }
}

fn json_text(options: &BatchOptions) -> String {
    // The fields of a struct keep their order, so that equal options give equal texts.
    serde_json::to_string(&options.stored()).unwrap_or_default()
}

/// The error for a batcher that was never declared.
pub(super) fn undeclared(home: &BatcherHome) -> Error {
    Error::not_found(format!(
        "batcher {:?} on queue {} is not declared: start a node that has it, or declare its \
         options with the handle",
        home.name(),
        home.partition().queue
    ))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::job::{Backoff, Headers};

    #[test]
    fn what_is_stored_is_read_back() {
        let options = BatchOptions {
            timeout: None,
            max_bytes: Some(7),
            policy: Policy::default().attempts(3).backoff(Backoff::Fixed(Duration::from_secs(1))),
            headers: Headers::new().with("tenant", "acme"),
            revision: 4,
            ..BatchOptions::default()
        };
        let text = Value::BulkString(json_text(&options).into());
        assert_eq!(BatchOptions::from_stored(Value::Int(4), text).unwrap(), options);
    }

    proptest::proptest! {
        #[test]
        fn any_stored_options_are_refused_or_can_be_followed(
            revision in proptest::prelude::any::<i64>(),
            text in "\\{\"limit\":[0-9]{1,11},\"timeout_ms\":(null|-?[0-9]{1,20}),\
                \"max_bytes\":(null|[0-9]{1,3}),\"max_waiting\":(null|-?[0-9]),\
                \"max_groups\":[0-9]{1,4},\"reverse\":false,\"job\":\\{(\"a\":[0-9]{1,2})?\\}\\}",
            rubbish in crate::hostile::bytes(),
        ) {
            for text in [text.into_bytes(), rubbish] {
                let read = BatchOptions::from_stored(Value::Int(revision), Value::BulkString(text));
                proptest::prop_assert!(read.is_err() || read.unwrap().check().is_ok());
            }
        }
    }

    #[test]
    fn a_difference_is_named() {
        let here = BatchOptions { limit: 5, ..BatchOptions::default() };
        let there = BatchOptions { policy: Policy::default().attempts(2), ..here.clone() };
        let stored = BatchOptions::default();
        assert_eq!(here.differences(&stored), "limit is 100 there and 5 here");
        assert_eq!(
            there.differences(&here),
            r#"retry, headers or expires_in is {} there and {"a":2} here"#
        );
    }
}
