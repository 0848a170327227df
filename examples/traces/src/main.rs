//! A trace that goes through the queue. A request sends two jobs: an e-mail, which fails once and
//! sends a job itself, and a bill, whose attempts are part of the trace of the request. The example
//! asserts on what a collector receives, that producers and consumers are connected.
//!
//! Run with `cargo run -p example-traces`; set `POOLDER_REDIS_URL` (default:
//! `redis://127.0.0.1:6379`) for another server.

mod collector;

use std::time::Duration;

use opentelemetry::trace::{SpanId, SpanKind, Status, TracerProvider};
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData};
use poolder::TraceStyle;
use poolder::prelude::*;
use serde::{Deserialize, Serialize};
use tracing::Instrument;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::collector::{Collector, attribute, ids, is_linked};

/// The queue of jobs whose attempts are linked to their senders.
const MAIL: &str = "traces-mail";
/// The queue of jobs whose attempts are part of the trace of their senders.
const BILLS: &str = "traces-bills";

#[derive(Serialize, Deserialize, Job)]
#[job(queue = "traces-mail")]
enum Mail {
    Welcome { user: u64 },
    Survey { user: u64 },
}

#[derive(Serialize, Deserialize, Job)]
#[job(queue = "traces-bills")]
struct Bill {
    user: u64,
}

async fn send(mail: Mail, cx: Context) -> Result<(), BoxError> {
    if let Mail::Welcome { user } = mail {
        if cx.attempt() == 1 {
            return Err("451 mailbox busy".into());
        }
        // The survey belongs to the trace of this attempt.
        cx.client().enqueue(Mail::Survey { user }).await?;
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let collector = Collector::default();
    let provider = SdkTracerProvider::builder().with_simple_exporter(collector.clone()).build();
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("example"));
    // The spans `send`, `settle` and `tick` are at DEBUG, those of attempts at INFO.
    let filter = tracing_subscriber::EnvFilter::new("info,poolder::span=debug");
    tracing_subscriber::registry().with(filter).with(layer).init();

    let client = Client::from_env().await?;
    let policy = Policy::default().backoff(Backoff::Fixed(Duration::from_millis(10)));
    let mail = Pool::new(MAIL).size(2).policy(policy).worker(worker_fn(send));
    let bills = Pool::new(BILLS).size(2).trace_style(TraceStyle::Child);
    let bills = bills.worker(worker_fn(async |bill: Bill| assert_eq!(bill.user, 7)));
    let node = Node::builder(client.clone()).pool(mail).pool(bills);

    let request = async {
        client.enqueue(Mail::Welcome { user: 7 }).await?;
        client.enqueue(Bill { user: 7 }).await
    };
    request.instrument(tracing::info_span!("request")).await?;
    let seen = collector.clone();
    node.run_until(async move { until_done(&seen).await }).await?;
    check(&collector);
    println!("producers and consumers are connected");
    Ok(())
}

/// Waits for the spans of four attempts: two of the welcome, one of the survey, one of the bill.
async fn until_done(collector: &Collector) {
    let done = || {
        collector.named(&format!("process {MAIL}")).len() >= 3
            && !collector.named(&format!("process {BILLS}")).is_empty()
    };
    let wait = async {
        while !done() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), wait).await.expect("the jobs run");
}

fn check(collector: &Collector) {
    let [request] = &collector.named("request")[..] else { panic!("one request") };
    let [welcome, survey] = &collector.named(&format!("send {MAIL}"))[..] else {
        panic!("two e-mails were sent")
    };
    let attempts = collector.named(&format!("process {MAIL}"));
    assert_eq!(attempts.len(), 3);
    let first = attempt(&attempts, "mail.welcome", "1");
    let second = attempt(&attempts, "mail.welcome", "2");
    let last = attempt(&attempts, "mail.survey", "1");
    assert_eq!((welcome.parent_span_id, &welcome.span_kind), (ids(request).1, &SpanKind::Producer));
    // Each attempt at the welcome begins a trace of its own, with a link to its sender.
    for span in [first, second] {
        assert_eq!(span.span_kind, SpanKind::Consumer);
        assert!(is_linked(span, welcome) && ids(span).0 != ids(request).0, "{span:?}");
        assert_eq!(span.parent_span_id, SpanId::INVALID);
    }
    assert!(matches!(first.status, Status::Error { .. }), "{first:?}");
    assert_eq!(attribute(first, "error.type").as_deref(), Some("error"));
    assert_eq!(second.status, Status::Unset);
    // The second attempt has sent the survey.
    assert_eq!((survey.parent_span_id, ids(survey).0), (ids(second).1, ids(second).0));
    assert!(is_linked(last, survey));
    // The bill is part of the trace of the request.
    let [sent] = &collector.named(&format!("send {BILLS}"))[..] else {
        panic!("one bill was sent")
    };
    let [bill] = &collector.named(&format!("process {BILLS}"))[..] else { panic!("one attempt") };
    assert_eq!((bill.parent_span_id, ids(bill).0), (ids(sent).1, ids(request).0));
    assert_conventions(welcome, bill);
    let settled = collector.named(&format!("settle {BILLS}"));
    assert!(settled.iter().any(|span| is_linked(span, sent)), "{settled:?}");
}

/// Returns the span of the attempt of this number at a job of this kind.
fn attempt<'a>(spans: &'a [SpanData], kind: &str, number: &str) -> &'a SpanData {
    let is = |span: &&SpanData, name, value| attribute(span, name).as_deref() == Some(value);
    let mut found = spans.iter().filter(|span| is(span, "kind", kind));
    found.find(|span| is(span, "attempt", number)).expect("the attempt has a span")
}

/// Asserts the attributes by the conventions of OpenTelemetry for messaging.
fn assert_conventions(sent: &SpanData, processed: &SpanData) {
    for (span, queue, operation) in [(sent, MAIL, "send"), (processed, BILLS, "process")] {
        assert_eq!(attribute(span, "messaging.system").as_deref(), Some("poolder"));
        assert_eq!(attribute(span, "messaging.destination.name").as_deref(), Some(queue));
        assert_eq!(attribute(span, "messaging.operation.name").as_deref(), Some(operation));
    }
    let group = attribute(processed, "messaging.consumer.group.name");
    assert_eq!(group.as_deref(), Some("workers"));
    assert_eq!(attribute(processed, "attempt").as_deref(), Some("1"));
}
