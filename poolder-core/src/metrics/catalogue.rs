//! Every metric: its name, type, labels and meaning. `docs/metrics.md` has the same table, and the
//! dashboard, the alerts and the autoscaler use no others; tests compare them.

/// The type of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricType {
    /// A number that only grows, and begins at 0 again with its process.
    Counter,
    /// A number at one moment.
    Gauge,
    /// Counts of observations by their size.
    Histogram,
}

impl MetricType {
    /// Returns the name in the text format.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// The program that exports a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exporter {
    /// A process, about itself: of a node, or of a client alone.
    Process,
    /// `poolder metrics`, about the namespace.
    Namespace,
}

/// A metric.
#[derive(Debug, PartialEq, Eq)]
pub struct Metric {
    /// The name, with its unit.
    pub name: &'static str,
    /// The type.
    pub metric_type: MetricType,
    /// The names of the labels.
    pub labels: &'static [&'static str],
    /// The meaning, in one sentence.
    pub help: &'static str,
    /// The program that exports it.
    pub exporter: Exporter,
}

/// Defines the metrics, and the list of all.
macro_rules! metrics {
    ($($exporter:ident $ty:ident $id:ident $name:literal [$($label:literal),*] $help:literal;)*) => {
        $(
            #[doc = $help]
            pub static $id: Metric = Metric {
                name: $name,
                metric_type: MetricType::$ty,
                labels: &[$($label),*],
                help: $help,
                exporter: Exporter::$exporter,
            };
        )*
        /// All metrics.
        pub static ALL: &[&Metric] = &[$(&$id),*];
    };
}

metrics! {
    Process Counter JOBS_ENQUEUED "poolder_jobs_enqueued_total" ["queue", "kind", "outcome"]
        "Jobs that this process has enqueued: stored, again (a job of the id or the unique key was stored before), refused, unknown.";
    Process Histogram REDIS_ROUND_TRIP "poolder_redis_round_trip_seconds" ["op"]
        "How long Redis took to answer this process, by the work: enqueue, claim, settle, beat, promote, other.";
    Process Counter REDIS_ERRORS "poolder_redis_errors_total" ["op", "kind"]
        "Round trips of this process that failed, by the work, and by what is known of it: refused, unknown, auth, protocol.";
    Process Counter ATTEMPTS "poolder_attempts_total" ["queue", "kind", "outcome"]
        "Attempts that ended on this node, by how they ended.";
    Process Counter JOBS_DIED "poolder_jobs_died_total" ["queue", "kind"]
        "Jobs that this node has buried.";
    Process Counter SETTLEMENTS_REFUSED "poolder_settlements_refused_total" ["queue", "why"]
        "Settlements of this node that changed nothing: fenced (settled before, or taken back), epoch (the server has another history).";
    Process Histogram ATTEMPT_DURATION "poolder_attempt_duration_seconds" ["queue", "kind"]
        "How long the attempts on this node ran.";
    Process Histogram JOB_WAIT "poolder_job_wait_seconds" ["queue", "kind"]
        "How long the jobs that this node has claimed had waited in their lanes.";
    Process Gauge SLOTS "poolder_slots" ["queue", "state"]
        "Slots of this node: busy, free, or stopped with their pool.";
    Process Gauge NODE_READY "poolder_node_ready" []
        "1 while this node may claim jobs.";
    Namespace Gauge QUEUE_JOBS "poolder_queue_jobs" ["namespace", "queue", "state", "lane"]
        "Jobs of the queue by state: ready (by lane), running, scheduled, retrying, suspect, dead.";
    Namespace Counter QUEUE_EVENTS "poolder_queue_events_total" ["namespace", "queue", "event"]
        "Events in the lives of the jobs of the queue, as Redis counts them.";
    Namespace Gauge QUEUE_OLDEST_SECONDS "poolder_queue_oldest_seconds" ["namespace", "queue"]
        "How long the first waiting job of the queue has been in its lane; 0 when none waits.";
    Namespace Gauge QUEUE_DRAIN_SECONDS "poolder_queue_drain_seconds" ["namespace", "queue"]
        "Time until no job of the queue waits, at the rates of the last five minutes; +Inf when it grows.";
    Namespace Gauge QUEUE_SLOTS "poolder_queue_slots" ["namespace", "queue"]
        "Slots of living nodes that serve the queue.";
    Namespace Gauge QUEUE_SLOTS_WANTED "poolder_queue_slots_wanted" ["namespace", "queue"]
        "Slots that would run what comes into the queue, and clear what waits within a minute.";
    Namespace Gauge QUEUE_PAUSED "poolder_queue_paused" ["namespace", "queue"]
        "1 while the queue is paused.";
    Namespace Gauge QUEUE_LEADER "poolder_queue_leader" ["namespace", "queue"]
        "1 while a node leads the first partition of the queue: promotes due jobs and ticks schedules.";
    Namespace Gauge QUEUE_UNREACHABLE "poolder_queue_unreachable_partitions" ["namespace", "queue"]
        "Partitions of the queue that did not answer, which the other metrics of the queue leave out.";
    Namespace Gauge QUEUE_LIMIT "poolder_queue_limit" ["namespace", "queue", "limit"]
        "The most jobs of a limited queue that run at a time: of the queue, and of each group; none where there is no limit.";
    Namespace Gauge QUEUE_GROUPS "poolder_queue_groups" ["namespace", "queue", "groups"]
        "Groups of a limited queue: active (a job waits or runs), startable (in line to start one), own (paused, or with own limits).";
    Namespace Gauge NODES "poolder_nodes" ["namespace", "state"]
        "Nodes in the roster: live, or silent for so long that they may be declared dead.";
    Namespace Counter NODES_DIED "poolder_nodes_died_total" ["namespace"]
        "Nodes that were declared dead since the exporter has started.";
    Namespace Gauge NODE_INFO "poolder_node_info" ["namespace", "node", "version", "deploy"]
        "1 for each node in the roster.";
    Namespace Gauge SCHEDULE_NEXT "poolder_schedule_next_timestamp_seconds" ["namespace", "queue", "schedule"]
        "When the schedule ticks next, in seconds since 1970; none while it is paused or has ended.";
    Namespace Gauge SCHEDULE_LAST_RUN "poolder_schedule_last_run_timestamp_seconds" ["namespace", "queue", "schedule"]
        "When the schedule has last enqueued a job, in seconds since 1970.";
    Namespace Gauge REDIS_MEMORY "poolder_redis_memory_bytes" ["namespace", "server", "kind"]
        "Memory of the Redis server: used, and max where a limit is set.";
    Namespace Gauge EXPORTER_LEFT_OUT "poolder_exporter_left_out" ["namespace", "what"]
        "Queues, nodes and schedules that are not in the metrics, since there are more than 1,000.";
    Namespace Gauge EXPORTER_LAST_SUCCESS "poolder_exporter_last_success_timestamp_seconds" ["namespace"]
        "When the exporter has last read everything, in seconds since 1970; 0 before the first time.";
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_follow_the_rules_of_prometheus() {
        let mut names = BTreeSet::new();
        for metric in ALL {
            let legal = |text: &str| text.bytes().all(|c| c.is_ascii_lowercase() || c == b'_');
            assert!(metric.name.starts_with("poolder_") && legal(metric.name), "{metric:?}");
            assert!(metric.labels.iter().all(|label| legal(label) && *label != "le"), "{metric:?}");
            let is_counter = metric.metric_type == MetricType::Counter;
            assert_eq!(is_counter, metric.name.ends_with("_total"), "{metric:?}");
            let is_of_namespace = metric.labels.first() == Some(&"namespace");
            assert_eq!(is_of_namespace, metric.exporter == Exporter::Namespace, "{metric:?}");
            assert!(metric.help.ends_with('.') && !metric.help.contains('\n'), "{metric:?}");
            assert!(names.insert(metric.name), "{} is there twice", metric.name);
        }
    }
}
