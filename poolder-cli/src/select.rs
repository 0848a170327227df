//! Jobs that are selected by a queue, a state and conditions.

use clap::Args;
use poolder_core::Error;
use poolder_core::view::{Filter, Listing};

use crate::failure::Failure;

/// The conditions of a selection.
#[derive(Debug, Clone, Args)]
pub(crate) struct Conditions {
    /// Only jobs that satisfy these conditions, such as 'kind=mail.* error~"SMTP 451" attempt>=3
    /// age>2h node=web-1 payload.user=7'; docs/command.md has all of them.
    #[arg(long = "where", value_name = "CONDITIONS", default_value = "")]
    conditions: Filter,
    /// Only jobs of this kind.
    #[arg(long, value_name = "KIND")]
    kind: Option<String>,
    /// Only jobs whose last error contains this text, in upper or lower case.
    #[arg(long, value_name = "TEXT")]
    error: Option<String>,
    /// Only jobs at this attempt: 3, or with a comparison, such as '>=3'.
    #[arg(long, value_name = "NUMBER", value_parser = attempt)]
    attempt: Option<Filter>,
    /// Only jobs that became ready, were claimed or died longer ago than this: 90s, 2h.
    #[arg(long, value_name = "TIME", value_parser = older)]
    older: Option<Filter>,
    /// Only jobs that this node, or a node on this host, runs or has buried.
    #[arg(long, value_name = "NAME", value_parser = node)]
    node: Option<Filter>,
    /// Only jobs whose payload has this value at this path, such as user.id=7; may be given several
    /// times.
    #[arg(long, value_name = "PATH=VALUE", value_parser = payload)]
    payload: Vec<Filter>,
}

fn attempt(text: &str) -> Result<Filter, Error> {
    let equal = if text.starts_with(['=', '<', '>']) { "" } else { "=" };
    format!("attempt{equal}{text}").parse()
}

fn older(text: &str) -> Result<Filter, Error> {
    let age = poolder_cron::span(text).map_err(|why| Error::invalid(why.to_string()))?;
    format!("age>{}ms", age.as_millis()).parse()
}

fn node(text: &str) -> Result<Filter, Error> {
    format!("node={}", serde_json::Value::from(text)).parse()
}

/// A condition for a payload. A value that is not JSON may have blanks.
fn payload(text: &str) -> Result<Filter, Error> {
    let (path, value) = text.split_once('=').unwrap_or((text, ""));
    let dot = if path.is_empty() { "" } else { "." };
    let plain = format!("payload{dot}{text}").parse();
    match value.contains(char::is_whitespace) && !value.starts_with('"') {
        true => format!("payload{dot}{path}={}", serde_json::Value::from(value)).parse(),
        false => plain,
    }
}

impl Conditions {
    /// Returns the conditions of all options, all of which must hold.
    pub(crate) fn filter(&self) -> Filter {
        let filter = self.conditions.clone();
        let filter = self.kind.iter().fold(filter, |filter, kind| filter.kind(kind.as_str()));
        let filter = self.error.iter().fold(filter, Filter::error_contains);
        let others = [&self.attempt, &self.older, &self.node].into_iter().flatten();
        others.chain(&self.payload).cloned().fold(filter, Filter::and)
    }
}

/// A selection of jobs, in place of their names.
#[derive(Debug, Args)]
pub(crate) struct Selection {
    /// All jobs of this queue, of the given state and conditions; needs --all. May be given several
    /// times.
    #[arg(long = "queue", value_name = "QUEUE", requires = "all", conflicts_with = "jobs")]
    queues: Vec<String>,
    /// Select the jobs by queue, state and conditions.
    #[arg(long, requires = "queues")]
    all: bool,
    /// The state of the jobs: ready, running, due, scheduled, retrying or dead.
    #[arg(long, value_name = "STATE", requires = "all")]
    state: Option<Listing>,
    #[command(flatten)]
    conditions: Conditions,
}

/// A listing of some queues and the conditions for their jobs.
#[derive(Debug)]
pub(crate) struct Selected<'a> {
    pub(crate) queues: &'a [String],
    pub(crate) listing: Listing,
    pub(crate) filter: Filter,
}

impl Selection {
    /// Returns the selection; `None` where jobs are named.
    pub(crate) fn of(&self, usual: Option<Listing>) -> Result<Option<Selected<'_>>, Failure> {
        let filter = self.conditions.filter();
        if self.queues.is_empty() {
            if !filter.is_any() {
                return Err(Failure::not_understood("conditions select jobs of a queue")
                    .hint("add --queue QUEUE --all"));
            }
            return Ok(None);
        }
        let Some(listing) = self.state.or(usual) else {
            return Err(Failure::not_understood("the state of the jobs is missing")
                .hint("add --state ready, running, due, scheduled, retrying or dead"));
        };
        Ok(Some(Selected { queues: &self.queues, listing, filter }))
    }
}
