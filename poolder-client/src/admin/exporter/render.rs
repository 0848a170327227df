//! Writes a reading as text.

use std::collections::BTreeMap;
use std::time::Duration;

use poolder_core::metrics::{MetricsText, catalogue};
use poolder_core::view::QueueView;
use poolder_core::{Lane, Timestamp};

use super::reading::{Reading, ScheduleTimes};
use crate::admin::forecast::{Drain, Flow};

/// The time within which the wanted slots would clear the jobs that wait.
const CLEAR_WITHIN: Duration = Duration::from_secs(60);

/// The slots that a queue has, and those that it needs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Slots {
    pub(super) there: u64,
    pub(super) wanted: u64,
    pub(super) drains: Option<Drain>,
}

impl Slots {
    /// Returns the slots of a queue of which `there` nodes have so many, and whose jobs flow like
    /// this. Where no job has ended within the time of the flow, as before the first node has
    /// started, at least one slot is wanted while a job waits or runs.
    pub(super) fn of(view: &QueueView, there: u64, flow: Option<Flow>) -> Self {
        let busy = u64::from(view.ready() + view.running() > 0);
        let wanted = flow.and_then(|flow| flow.slots_wanted(CLEAR_WITHIN));
        let wanted = wanted.unwrap_or_else(|| view.running()).max(busy);
        Self { there, wanted, drains: flow.map(|flow| flow.drains()) }
    }
}

/// Returns the number of slots of living nodes by queue.
pub(super) fn slots_by_queue(reading: &Reading) -> BTreeMap<&str, u64> {
    let mut slots = BTreeMap::new();
    for node in reading.nodes.iter().filter(|node| !node.is_silent()) {
        for (queue, count) in node.info.iter().flat_map(|info| &info.pools) {
            *slots.entry(queue.as_str()).or_default() += *count as u64;
        }
    }
    slots
}

/// Writes a reading. `slots` are those of its queues, in their order; `died` is the number of nodes
/// that were declared dead since the first reading.
pub(super) fn render(namespace: &str, reading: &Reading, slots: &[Slots], died: u64) -> String {
    let mut text = MetricsText::default();
    jobs(&mut text, namespace, reading);
    let queues: Vec<(&QueueView, &Slots)> = reading.queues.iter().zip(slots).collect();
    let mut gauge = |metric, value: &dyn Fn(&QueueView, &Slots) -> Option<f64>| {
        text.describe(metric);
        for (view, slots) in &queues {
            if let Some(value) = value(view, slots) {
                text.sample(&[namespace, view.queue.as_str()], value);
            }
        }
    };
    gauge(&catalogue::QUEUE_OLDEST_SECONDS, &|view, _| match view.oldest() {
        Some(oldest) => Some(oldest.as_secs_f64()),
        // Without the right to read jobs their times are not known, nor are those of jobs in groups,
        // and 0 would hide that they wait.
        None => (view.ready() == 0).then_some(0.0),
    });
    gauge(&catalogue::QUEUE_DRAIN_SECONDS, &|_, slots| {
        slots.drains.map(|drains| match drains {
            Drain::In(time) => time.as_secs_f64(),
            Drain::Empty => 0.0,
            _ => f64::INFINITY,
        })
    });
    gauge(&catalogue::QUEUE_SLOTS, &|_, slots| Some(slots.there as f64));
    gauge(&catalogue::QUEUE_SLOTS_WANTED, &|_, slots| Some(slots.wanted as f64));
    gauge(&catalogue::QUEUE_PAUSED, &|view, _| Some(flag(view.paused.is_some())));
    gauge(&catalogue::QUEUE_LEADER, &|view, _| match view.leader {
        Some(_) => Some(1.0),
        None => reading.leaderless.contains(&view.queue).then_some(0.0),
    });
    gauge(&catalogue::QUEUE_UNREACHABLE, &|view, _| Some(view.unreachable.len() as f64));
    limits(&mut text, namespace, reading);
    nodes(&mut text, namespace, reading, died);
    schedules(&mut text, namespace, reading);
    servers(&mut text, namespace, reading);
    text.describe(&catalogue::EXPORTER_LEFT_OUT);
    for (what, count) in reading.left_out {
        text.sample(&[namespace, what], count);
    }
    last_success(&mut text, namespace, Some(reading.now));
    text.finish()
}

/// Writes when everything was last read; 0 stands for never.
pub(super) fn last_success(text: &mut MetricsText, namespace: &str, at: Option<Timestamp>) {
    text.describe(&catalogue::EXPORTER_LAST_SUCCESS);
    text.sample(&[namespace], at.map_or(0.0, seconds));
}

fn jobs(text: &mut MetricsText, namespace: &str, reading: &Reading) {
    text.describe(&catalogue::QUEUE_JOBS);
    for view in &reading.queues {
        let queue = view.queue.as_str();
        for lane in view.lanes.iter().filter(|view| view.lane != Lane::Suspect) {
            text.sample(&[namespace, queue, "ready", lane.lane.as_str()], lane.ready);
        }
        if view.grouped > 0 {
            text.sample(&[namespace, queue, "ready", "group"], view.grouped);
        }
        for (state, jobs) in [
            ("running", view.running()),
            ("scheduled", view.due.saturating_sub(view.retrying)),
            ("retrying", view.retrying.min(view.due)),
            ("suspect", view.lane(Lane::Suspect).ready),
            ("dead", view.dead),
        ] {
            text.sample(&[namespace, queue, state, ""], jobs);
        }
    }
    text.describe(&catalogue::QUEUE_EVENTS);
    for view in &reading.queues {
        for (event, times) in &view.counters {
            text.sample(&[namespace, view.queue.as_str(), event], *times);
        }
    }
}

fn limits(text: &mut MetricsText, namespace: &str, reading: &Reading) {
    text.describe(&catalogue::QUEUE_LIMIT);
    for (queue, counts) in &reading.limits {
        let limits = &counts.limits;
        for (name, limit) in [("queue", limits.concurrency), ("group", limits.group_concurrency)] {
            if let Some(limit) = limit {
                text.sample(&[namespace, queue.as_str(), name], u64::from(limit));
            }
        }
    }
    text.describe(&catalogue::QUEUE_GROUPS);
    for (queue, counts) in &reading.limits {
        for (name, groups) in
            [("active", counts.active), ("startable", counts.turns), ("own", counts.own)]
        {
            text.sample(&[namespace, queue.as_str(), name], groups);
        }
    }
}

fn nodes(text: &mut MetricsText, namespace: &str, reading: &Reading, died: u64) {
    let silent = reading.nodes.iter().filter(|node| node.is_silent()).count();
    text.describe(&catalogue::NODES);
    text.sample(&[namespace, "live"], reading.nodes.len() - silent);
    text.sample(&[namespace, "silent"], silent);
    text.describe(&catalogue::NODES_DIED);
    text.sample(&[namespace], died);
    text.describe(&catalogue::NODE_INFO);
    for node in &reading.nodes {
        let (version, deploy) =
            node.info.as_ref().map_or(("", ""), |info| (&*info.version, &*info.deploy));
        text.sample(&[namespace, &node.name, version, deploy], 1);
    }
}

fn schedules(text: &mut MetricsText, namespace: &str, reading: &Reading) {
    let mut times = |metric, time: fn(&ScheduleTimes) -> Option<Timestamp>| {
        text.describe(metric);
        for schedule in &reading.schedules {
            if let Some(at) = time(schedule) {
                let labels = [namespace, schedule.queue.as_str(), &schedule.name];
                text.sample(&labels, seconds(at));
            }
        }
    };
    times(&catalogue::SCHEDULE_NEXT, |schedule| schedule.next);
    times(&catalogue::SCHEDULE_LAST_RUN, |schedule| schedule.last_run);
}

fn servers(text: &mut MetricsText, namespace: &str, reading: &Reading) {
    text.describe(&catalogue::REDIS_MEMORY);
    for server in reading.servers.iter().filter(|server| server.why.is_none()) {
        text.sample(&[namespace, &server.address, "used"], server.memory_used);
        if let Some(max) = server.memory_max {
            text.sample(&[namespace, &server.address, "max"], max);
        }
    }
}

fn flag(value: bool) -> f64 {
    f64::from(u8::from(value))
}

fn seconds(at: Timestamp) -> f64 {
    at.millis() as f64 / 1_000.0
}
