//! The named callbacks of a pool, which receive the arguments that outcomes pass to them.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;

use poolder_core::{BoxError, Callback, Cause, Error, Failure};
use serde::de::DeserializeOwned;

use super::erased::BoxFuture;
use super::guard::{discard, guarded, text_of};
use super::worker::Result;

type Sink = Arc<dyn Fn(&Callback) -> BoxFuture<'static, Result<()>> + Send + Sync>;

/// The callbacks of a pool, by name.
#[derive(Default)]
pub(crate) struct Sinks {
    sinks: HashMap<String, Sink>,
    /// The names that were registered more than once.
    twice: Vec<String>,
}

impl Sinks {
    pub(crate) fn add<A, F, R>(&mut self, name: &str, sink: F)
    where
        A: DeserializeOwned,
        F: Fn(A) -> R + Send + Sync + 'static,
        R: Future<Output = Result<()>> + Send + 'static,
    {
        let run = move |callback: &Callback| -> BoxFuture<'static, Result<()>> {
            match callback.read() {
                Ok(arguments) => Box::pin(sink(arguments)),
                Err(error) => Box::pin(std::future::ready(Err(error.into()))),
            }
        };
        if self.sinks.insert(name.to_owned(), Arc::new(run)).is_some() {
            self.twice.push(name.to_owned());
        }
    }

    /// Checks that no callback is registered twice, and that all names that workers declare are
    /// registered.
    pub(crate) fn check(&self, queue: &str, declared: &[&'static str]) -> Result<(), Error> {
        if let Some(name) = self.twice.first() {
            return Err(Error::invalid(format!(
                "pool {queue}: callback {name:?} is registered twice, it can be once"
            )));
        }
        match declared.iter().find(|name| !self.sinks.contains_key(**name)) {
            Some(name) => Err(Error::invalid(self.missing(queue, name))),
            None => Ok(()),
        }
    }

    /// Calls each callback with its arguments, in order; the first that fails ends the calls.
    pub(crate) async fn call(&self, queue: &str, callbacks: &[Callback]) -> Result<(), BoxError> {
        for callback in callbacks {
            let Some(sink) = self.sinks.get(&callback.name) else {
                return Err(Failure::new(Cause::Error, self.missing(queue, &callback.name)).into());
            };
            let name = &callback.name;
            match guarded(|| sink(callback)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    let text = format!("callback {name:?} failed: {}", text_of(error.as_ref()));
                    discard(error);
                    return Err(Failure::new(Cause::Error, text).into());
                }
                Err(panic) => {
                    let text = format!("callback {name:?} panicked: {panic}");
                    return Err(Failure::new(Cause::Panic, text).into());
                }
            }
        }
        Ok(())
    }

    fn missing(&self, queue: &str, name: &str) -> String {
        let mut known: Vec<&str> = self.sinks.keys().map(String::as_str).collect();
        known.sort_unstable();
        format!(
            "pool {queue} has no callback {name:?}: register it with \
             Pool::callback({name:?}, …); it has {known:?}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn arguments_arrive_and_what_is_wrong_is_said() {
        let (sender, mut received) = tokio::sync::mpsc::channel(4);
        let mut sinks = Sinks::default();
        sinks.add("push", move |(channel, text): (String, String)| {
            let sender = sender.clone();
            async move { Ok(sender.send(format!("{channel}: {text}")).await?) }
        });
        sinks.add("broken", |(): ()| async { panic!("no") });
        let push = Callback::new("push", &("lobby", "Hello!")).unwrap();
        sinks.call("q", &[push]).await.unwrap();
        assert_eq!(received.recv().await.unwrap(), "lobby: Hello!");
        let cases = [
            (Callback::new("push", &7_u8).unwrap(), "cannot be read"),
            (Callback::new("broken", &()).unwrap(), "panicked: no"),
            (Callback::new("other", &()).unwrap(), "Pool::callback(\"other\""),
        ];
        for (callback, why) in cases {
            let error = sinks.call("q", &[callback]).await.unwrap_err();
            assert!(error.to_string().contains(why), "{error}");
        }
        assert!(sinks.check("q", &["push", "broken"]).is_ok());
        let error = sinks.check("q", &["event"]).unwrap_err();
        assert!(error.to_string().contains("no callback \"event\""), "{error}");
        sinks.add("push", |(): ()| async { Ok(()) });
        assert!(sinks.check("q", &[]).unwrap_err().to_string().contains("twice"));
    }
}
