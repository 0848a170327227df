//! One payload as a job, as a result, and through the edit of a dead job.

use std::fmt::Debug;

use poolder::Result;
use poolder::prelude::*;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use crate::harness::*;

#[derive(Serialize, Deserialize, Clone, Debug)]
struct P<T> {
    v: T,
    fail: bool,
}

impl<T: Serialize + DeserializeOwned + Send + 'static> Job for P<T> {
    const KINDS: &'static [&'static str] = &["p"];
    const QUEUE: &'static str = "p";
    fn policy(&self) -> Option<Policy> {
        Some(Policy::default().attempts(1))
    }
}

#[derive(Clone)]
struct W<T>(mpsc::Sender<T>);

impl<T> Worker for W<T>
where
    T: Serialize + DeserializeOwned + Clone + Send + Sync + 'static,
{
    type Job = P<T>;
    async fn handle_job(&mut self, job: P<T>, _cx: Context) -> Result<Outcome> {
        let _ = self.0.try_send(job.v.clone());
        if job.fail {
            return Err("asked to fail".into());
        }
        Ok(Outcome::result(&job.v)?)
    }
}

fn short(e: impl Debug) -> String {
    let t = format!("{e:?}");
    t.chars().take(170).collect()
}

pub(crate) fn case<T>(
    name: &'static str,
    value: T,
) -> std::pin::Pin<Box<dyn std::future::Future<Output = ()> + Send>>
where
    T: Serialize + DeserializeOwned + Clone + Debug + Send + Sync + 'static,
{
    Box::pin(case_inner(name, value))
}

/// A value that no worker can read: the enqueue and the result are refused, with the field.
pub(crate) async fn refused<T>(name: &'static str, field: &str, value: T)
where
    T: Serialize + DeserializeOwned + Clone + Debug + Send + Sync + 'static,
{
    let space =
        Space::new(&format!("pay-{name}").replace(|c: char| !c.is_ascii_alphanumeric(), "-"));
    let stored = space.client.enqueue(P { v: value, fail: false }).await;
    let ok = stored.as_ref().is_err_and(|e| e.is_codec() && e.to_string().contains(field));
    report(&format!("payload {name}"), ok, format!("{:?}", stored.map(|r| r.job)));
}

async fn case_inner<T>(name: &'static str, value: T)
where
    T: Serialize + DeserializeOwned + Clone + Debug + Send + Sync + 'static,
{
    let want = format!("{value:?}");
    let space =
        Space::new(&format!("pay-{name}").replace(|c: char| !c.is_ascii_alphanumeric(), "-"));
    let (tx, mut rx) = mpsc::channel::<T>(16);
    let node = start(space.node().pool(Pool::new("p").size(2).worker(W(tx))));
    // 1, 2: as a job and as a result
    let back: std::result::Result<T, _> =
        space.client.call(P { v: value.clone(), fail: false }).timeout(s(20)).await;
    let seen = rx.try_recv().ok();
    let job = match &seen {
        Some(v) if format!("{v:?}") == want => "ok".into(),
        Some(v) => format!("OTHER {}", short(v)),
        None => format!(
            "LOST {}",
            back.as_ref().err().map(std::string::ToString::to_string).unwrap_or_default()
        ),
    };
    let result = match back {
        Ok(v) if format!("{v:?}") == want => "ok".into(),
        Ok(v) => format!("OTHER {}", short(v)),
        Err(_) if seen.is_none() => "-".into(),
        Err(e) => format!("ERR {e}"),
    };
    // 3: dies, is shown as JSON, edited (only `fail`), revived
    let edit = if seen.is_none() {
        "-".to_owned()
    } else {
        let queue = space.client.inspect("p");
        let before = space.overview("p").await.dead;
        let enq = space.client.enqueue(P { v: value, fail: true }).await;
        match enq {
            Err(e) => format!("ENQ {e}"),
            Ok(receipt) => {
                until(s(10), || async { space.overview("p").await.dead > before }).await;
                let _ = rx.try_recv();
                let view = space.client.job(&receipt).view().await.unwrap();
                match view {
                    None => "NOT DEAD".into(),
                    Some(view) => match view.payload_json() {
                        Err(e) => format!("SHOW {e}"),
                        Ok(mut json) => {
                            let shown = json["v"].to_string();
                            json["fail"] = false.into();
                            match space.client.job(&view.handle).edit_and_revive(&json).await {
                                Err(e) => format!("EDIT {e}"),
                                Ok(()) => match tokio::time::timeout(s(5), rx.recv()).await {
                                    Ok(Some(v)) if format!("{v:?}") == want => "ok".into(),
                                    Ok(Some(v)) => {
                                        format!("OTHER {} (shown {})", short(v), short(shown))
                                    }
                                    _ => {
                                        let dead = queue.dead(None, 10).await.unwrap();
                                        let why = dead.jobs.first().and_then(|j| {
                                            j.failure().map(std::string::ToString::to_string)
                                        });
                                        format!(
                                            "DEAD AGAIN {} (shown {})",
                                            why.unwrap_or_default(),
                                            short(shown)
                                        )
                                    }
                                },
                            }
                        }
                    },
                }
            }
        }
    };
    node.stop().await;
    let ok = job == "ok" && result == "ok" && edit == "ok";
    report(&format!("payload {name}"), ok, format!("{want:.40} | {job} | {result} | {edit}"));
}
