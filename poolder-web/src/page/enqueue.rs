//! A job of any kind is enqueued from a form.

use axum::Form;
use axum::response::Response;
use poolder_client::Budget;
use poolder_core::broker::{PreparedJob, When};
use poolder_core::view::{Filter, JobView, Listing};
use poolder_core::{Envelope, Format, JobId, Lane, Partition, Policy, QueueName};

use super::answer::answer;
use super::change::{
    self, ConfirmPage, Input, Question, done_and_back, enough, json, read_time, time, whole,
};
use super::shell::{json_word, option, quoted, time_options, word};
use crate::access::Access;
use crate::request::{Context, Fault, Fields};

/// The lanes into which jobs can be enqueued.
pub(super) const LANES: &[&str] = &["normal", "high", "low"];
/// The most entries that are looked at for a job of the kind, whose payload is the example.
const ENTRIES: u64 = 500;

/// Answers with the form of a new job.
pub(crate) async fn enqueue_form(context: Context) -> Response {
    let page = form(&context, &context.query, String::new()).await;
    answer(&context, page).await
}

/// Enqueues the job of a form, and leads to it; answers with the form again where it was not
/// understood.
pub(crate) async fn enqueue(context: Context, Form(fields): Form<Fields>) -> Response {
    let done = enqueued(&context, &fields).await;
    change::answered(&context, done, async |why| form(&context, &fields, why).await).await
}

/// Returns the queue of the form when the visitor may enqueue into it.
fn queue(context: &Context, fields: &Fields) -> Result<QueueName, Fault> {
    change::queue_of(context, fields, Access::Operate)
}

async fn form(context: &Context, fields: &Fields, again: String) -> Result<ConfirmPage, Fault> {
    let name = fields.get("queue");
    let example = match name {
        "" => {
            enough(context.visitor.access(), Access::Operate)?;
            None
        }
        _ if fields.is_set("payload") => None,
        _ if QueueName::new(name).is_err() => None,
        _ => example(context, &queue(context, fields)?, fields.get("kind")).await?,
    };
    let (payload, hint) = match (fields.get("payload"), example) {
        ("", Some(example)) => (example, "JSON; this is the payload of another job of the kind"),
        ("", None) => ("null".to_owned(), "JSON"),
        (written, _) => (written.to_owned(), "JSON"),
    };
    let value =
        |name: &'static str, label, kind| Input::new(name, label, kind).value(fields.get(name));
    let mut inputs = vec![
        value("queue", "Queue", "text").required(),
        value("kind", "Kind", "text").required(),
        Input::new("payload", "Payload", "textarea").value(payload).hint(hint).required(),
        value("version", "Version of the payload", "number").hint("1 if it is not given"),
        value("lane", "Lane", "select").choices(LANES),
        value("attempts", "Attempts", "number").hint("those of the pool if it is not given"),
        value("id", "Own id", "text").hint("a text that names the job; may be empty"),
    ];
    inputs.extend(time(fields));
    let asked = Question {
        title: "Enqueue a job",
        question: "A new job".into(),
        command: command(fields),
        again,
        path: "/enqueue",
        inputs,
        action: "enqueue",
        button: "Enqueue",
        back: if fields.is_set("back") { fields.get("back").into() } else { "/kinds".into() },
        ..Question::default()
    };
    Ok(ConfirmPage::new(context, asked).await)
}

/// Returns the command that enqueues the job of a form.
pub(super) fn command(fields: &Fields) -> String {
    let (kind, queue) = (word(fields, "kind", "KIND"), word(fields, "queue", "QUEUE"));
    let payload = json_word(fields.get("payload"), "payload");
    let lane = match fields.get("lane") {
        "" | "normal" => String::new(),
        lane => format!(" --lane {}", quoted(lane)),
    };
    let mut command = format!("poolder job enqueue {kind} {payload} --queue {queue}{lane}");
    for (name, as_option) in
        [("version", "version-of-payload"), ("attempts", "attempts"), ("id", "id")]
    {
        command += &option(fields, name, as_option);
    }
    command + &time_options(fields)
}

/// Returns the payload of another job of the kind, unless a part of it is hidden from visitors.
async fn example(
    context: &Context,
    queue: &QueueName,
    kind: &str,
) -> Result<Option<String>, Fault> {
    if poolder_core::check_kind(kind).is_err() {
        return Ok(None);
    }
    let inspector = context.shared.client.inspect(queue);
    let filter = Filter::any().kind(kind);
    let budget = || Budget::jobs(1).entries(ENTRIES);
    let (dead, due, ready) = tokio::try_join!(
        inspector.find_where(Listing::Dead, &filter, None, budget()),
        inspector.find_where(Listing::Due, &filter, None, budget()),
        inspector.find_where(Listing::Ready, &filter, None, budget()),
    )?;
    let shown = |job: &JobView| {
        let (shown, is_whole) = change::shown(context, job).ok()?;
        is_whole.then(|| serde_json::to_string_pretty(&shown).unwrap_or_default())
    };
    Ok([ready, due, dead].iter().flat_map(|found| &found.jobs).find_map(shown))
}

async fn enqueued(context: &Context, fields: &Fields) -> Result<Response, Fault> {
    let queue = queue(context, fields)?;
    let client = change::client(context);
    if client.pool::<()>(&queue).view().await.is_ok() {
        return Err(Fault::invalid(format!(
            "{queue} is a pool with addressed slots: its jobs are sent by code, which picks the slot."
        )));
    }
    let mut job = PreparedJob::new(Partition::first(queue.clone()), envelope(&queue, fields)?);
    job.lane = lane(fields.get("lane"))?;
    job.when = read_time(context, fields).await?.map_or(When::Now, When::At);
    let receipt = client.enqueue_by_hand(job).await?;
    let done = format!("Enqueued job {}.", receipt.job);
    Ok(done_and_back(context, &done, &command(fields), &format!("/job/{}", receipt.handle())))
}

/// Makes the envelope of a job of a form.
pub(super) fn envelope(queue: &QueueName, fields: &Fields) -> Result<Envelope, Fault> {
    let text = fields.get("payload");
    // The text is kept as written: parsed JSON would lose the order of fields and large numbers.
    json(text)?;
    let version = match fields.get("version") {
        "" => 1,
        version => whole(version, "version")?,
    };
    let policy = match fields.get("attempts") {
        "" => None,
        attempts => Some(Policy::default().attempts(whole(attempts, "attempts")?)),
    };
    let id = match fields.get("id") {
        "" => JobId::generate(),
        name => JobId::named(queue, name),
    };
    let kind = fields.get("kind");
    poolder_core::check_kind(kind)?;
    let build = Envelope::build(id, kind, version, policy.as_ref(), Format::Json, |out| {
        out.extend(text.as_bytes());
        Ok(())
    });
    build.map_err(|error| match error.is_too_large() {
        true => Fault::invalid(error.to_string()),
        false => error.into(),
    })
}

/// Reads a lane into which jobs can be enqueued.
pub(super) fn lane(text: &str) -> Result<Lane, Fault> {
    match text {
        "" | "normal" => Ok(Lane::Normal),
        "high" => Ok(Lane::High),
        "low" => Ok(Lane::Low),
        _ => Err(Fault::invalid(format!("{text:?} is no lane: write normal, high or low."))),
    }
}
