//! The key schema. No other file builds a key.
//!
//! All keys of a partition share one hash tag, so that the keys of a script lie in one Redis slot.
//! The ready streams, the group name and the plain entry form are public: producers without a
//! Poolder client and autoscalers may rely on them.

use std::sync::Arc;

use crate::job::{Error, JobId, Lane, Partition, QueueName, Timestamp, check_name};

/// The consumer group in which the workers of a queue compete.
pub(crate) const GROUP: &str = "workers";

/// The default namespace.
pub(crate) const DEFAULT_NAMESPACE: &str = "poolder";

/// All keys of one namespace.
#[derive(Debug, Clone)]
pub(crate) struct Keyspace {
    namespace: Arc<str>,
}

/// The keys of one partition, built once and reused.
#[derive(Debug, Clone)]
pub(crate) struct PartitionKeys {
    /// The ready streams, in the order of [`Lane::ALL`].
    pub(crate) ready: [String; 5],
    /// Sorted set: due time in ms → job id.
    pub(crate) due: String,
    /// Hash: job id → head and envelope of the waiting job.
    pub(crate) bodies: String,
    /// Sorted set: time of death in ms → job id.
    pub(crate) dead: String,
    /// Hash: job id → dead record, head and envelope of the dead job.
    pub(crate) dead_bodies: String,
    /// Sorted set: time of the next try in ms → id of a dead job of which hooks are told, and a byte
    /// with the number of tries.
    pub(crate) dead_hooks: String,
    /// Sorted set: time of the end in ms → id of a finished job that is kept.
    pub(crate) finished: String,
    /// Hash: job id → record of the finished job.
    pub(crate) finished_bodies: String,
    /// String: term and node of the leader. Expires with the lease.
    pub(crate) leader: String,
    /// Hash: holder and term of the lease of an addressed slot; in a shared queue for each node the
    /// entry of the suspect that it began to run last.
    pub(crate) lease: String,
    /// The keys of the schedules.
    pub(crate) schedules: ScheduleKeys,
    /// The keys of the limits of the queue.
    pub(crate) limits: LimitKeys,
    /// Hash of counters.
    pub(crate) stats: String,
    /// Hash: the pause and the number of operator commands of the partition, and the last leader
    /// term; in partition 0 also the settings and the size of the queue's addressed pool.
    pub(crate) meta: String,
    /// Sorted set: time of the cancellation in ms → id of a job that must not run.
    pub(crate) cancelled: String,
    /// Hash: key → record of the unique job that holds it.
    pub(crate) unique: String,
    /// Pub/sub channel for hints.
    pub(crate) control: String,
    /// Sorted set: end of a wait permit in ms → node that may block until a job comes.
    pub(crate) waiting: String,
    /// Sorted set: end of the entry in ms → node that rests until it is woken.
    pub(crate) resting: String,
    /// Hash: batch job id → index record of its sealed list.
    pub(crate) batches: String,
    /// Set of ids of batch jobs that are gone and whose sealed lists must still be removed: dropped
    /// from the dead, cancelled, or removed by an operator.
    pub(crate) batches_dropped: String,
    /// Sorted set: last heartbeat in ms → node that serves the addressed pool; in partition 0.
    pub(crate) members: String,
    /// Set of slots that have run all jobs from before the last resize; in partition 0.
    pub(crate) drained: String,
    /// Set of slots beyond the pool size that have become empty; in partition 0.
    pub(crate) retired: String,
    base: String,
}

/// The keys of the schedules of a partition.
#[derive(Debug, Clone)]
pub(crate) struct ScheduleKeys {
    /// Hash: schedule name → record of its job and its times.
    pub(crate) records: String,
    /// Hash: schedule name → its revision, its last tick and its counters.
    pub(crate) states: String,
    /// Sorted set: time of the next tick in ms → schedule name; only schedules with a next tick.
    pub(crate) next: String,
    /// Hash: schedule name → its unfinished job, for schedules whose jobs must not overlap.
    pub(crate) running: String,
    /// Hash: schedule name → the job that waits for the unfinished one to end.
    pub(crate) queued: String,
    /// Hash: schedule name → its last runs.
    pub(crate) runs: String,
}

/// The keys of the limits of a queue.
#[derive(Debug, Clone)]
pub(crate) struct LimitKeys {
    /// Hash: the limits of the queue, its bucket of tokens and until when it is held, the last ticket,
    /// and a mark while a claimer waits.
    pub(crate) state: String,
    /// Hash: group → its record.
    pub(crate) groups: String,
    /// Hash: number and group → waiting job.
    pub(crate) jobs: String,
    /// List: ticket and group of each group that may start a job, in turn.
    pub(crate) turns: String,
    /// Hash: group → its own limits.
    pub(crate) own: String,
    /// List: tokens, each of which wakes a claimer.
    pub(crate) wake: String,
    /// Sorted set: time in ms at which a group may go on, or may be forgotten → group.
    pub(crate) timers: String,
}

/// The keys of the roster of a namespace.
#[derive(Debug, Clone)]
pub(crate) struct RosterKeys {
    /// Sorted set: last heartbeat in ms → node.
    pub(crate) nodes: String,
    /// Sorted set: time in ms at which a node was marked as dead → node.
    pub(crate) marks: String,
    /// Hash: node → its description, as JSON.
    pub(crate) about: String,
    /// Hash: node → the order that it is to carry out.
    pub(crate) orders: String,
    /// Set of all queues that were ever used.
    pub(crate) queues: String,
    /// Hash: owner of declared schedules → the queues that hold schedules of this owner.
    pub(crate) schedulers: String,
    /// Hash: name of a saved view of a list of jobs → its path within a dashboard.
    pub(crate) views: String,
    /// The keys of the history of the namespace.
    pub(crate) history: HistoryKeys,
}

/// The keys of the history of a namespace.
#[derive(Debug, Clone)]
pub(crate) struct HistoryKeys {
    /// String that exists while the history is watched.
    pub(crate) watched: String,
    /// Hash: deploy → the time at which its first node was seen, in ms.
    pub(crate) deploys: String,
    /// Hash: id of a group of errors → the time at which it was seen first in ms, and a sample.
    pub(crate) errors: String,
    /// Sorted set: time in ms at which an error was seen last → id of its group.
    pub(crate) errors_seen: String,
    /// Hash: id of a group of errors → its mute.
    pub(crate) errors_muted: String,
    /// Stream: what actors have changed, the last 10,000 entries.
    pub(crate) audit: String,
    /// Stream: what has happened to nodes and partitions, the last 10,000 entries.
    pub(crate) journal: String,
    base: String,
}

impl HistoryKeys {
    fn new(roster: &str) -> Self {
        Self {
            watched: format!("{roster}:watched"),
            deploys: format!("{roster}:deploys"),
            errors: format!("{roster}:errors"),
            errors_seen: format!("{roster}:errors:seen"),
            errors_muted: format!("{roster}:errors:muted"),
            audit: format!("{roster}:audit"),
            journal: format!("{roster}:journal"),
            base: format!("{roster}:history"),
        }
    }

    /// Hash: name of a series → its counts in a period. The letter stands for the length of the
    /// period, the number counts the periods since 1970.
    pub(crate) fn frame(&self, letter: char, number: i64) -> String {
        format!("{}:{letter}:{number}", self.base)
    }

    /// Hash: queue → its gauges at the end of a period.
    pub(crate) fn gauges(&self, letter: char, number: i64) -> String {
        format!("{}:queues:{letter}:{number}", self.base)
    }

    /// String that exists once a node has taken the gauges of the queues in this minute.
    pub(crate) fn sampled(&self, number: i64) -> String {
        format!("{}:sampled:{number}", self.base)
    }

    /// String that exists while a node makes this frame of shorter ones, and afterwards.
    pub(crate) fn rolled(&self, letter: char, number: i64) -> String {
        format!("{}:rolled:{letter}:{number}", self.base)
    }
}

impl Keyspace {
    /// Checks a namespace: 1 to 64 ASCII letters, digits, `_`, `-` or `.`.
    pub(crate) fn new(namespace: &str) -> Result<Self, Error> {
        check_name("namespace", namespace, 64, "_-.")?;
        Ok(Self { namespace: namespace.into() })
    }

    pub(crate) fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Returns whether a command argument begins like the keys of this namespace.
    pub(crate) fn is_ours(&self, argument: &[u8]) -> bool {
        let rest = argument.strip_prefix(self.namespace.as_bytes());
        rest.is_some_and(|rest| rest.starts_with(b":{"))
    }

    pub(crate) fn partition(&self, partition: &Partition) -> PartitionKeys {
        let base = format!("{}:{{{partition}}}", self.namespace);
        PartitionKeys {
            ready: Lane::ALL.map(|lane| format!("{base}:ready:{lane}")),
            due: format!("{base}:due"),
            bodies: format!("{base}:bodies"),
            dead: format!("{base}:dead"),
            dead_bodies: format!("{base}:dead:bodies"),
            dead_hooks: format!("{base}:dead:hooks"),
            finished: format!("{base}:finished"),
            finished_bodies: format!("{base}:finished:bodies"),
            leader: format!("{base}:leader"),
            lease: format!("{base}:lease"),
            schedules: ScheduleKeys {
                records: format!("{base}:schedules"),
                states: format!("{base}:schedules:state"),
                next: format!("{base}:schedules:next"),
                running: format!("{base}:schedules:running"),
                queued: format!("{base}:schedules:queued"),
                runs: format!("{base}:schedules:runs"),
            },
            limits: LimitKeys {
                state: format!("{base}:limits"),
                groups: format!("{base}:limits:groups"),
                jobs: format!("{base}:limits:jobs"),
                turns: format!("{base}:limits:turns"),
                own: format!("{base}:limits:own"),
                wake: format!("{base}:limits:wake"),
                timers: format!("{base}:limits:timers"),
            },
            stats: format!("{base}:stats"),
            cancelled: format!("{base}:cancelled"),
            unique: format!("{base}:unique"),
            control: format!("{base}:control"),
            waiting: format!("{base}:waiting"),
            resting: format!("{base}:resting"),
            batches: format!("{base}:batch:index"),
            batches_dropped: format!("{base}:batch:dropped"),
            meta: format!("{base}:meta"),
            members: format!("{base}:members"),
            drained: format!("{base}:drained"),
            retired: format!("{base}:retired"),
            base,
        }
    }

    /// The stream that every live slot of a broadcast pool reads, and the counter of its entries.
    pub(crate) fn broadcast(&self, queue: &QueueName) -> [String; 2] {
        let stream = format!("{}:{{{queue}}}:broadcast", self.namespace);
        let counter = format!("{stream}:count");
        [stream, counter]
    }

    /// Set of the queues of the pools in a pool set.
    pub(crate) fn pool_set(&self, set: &str) -> String {
        format!("{}:{{roster}}:group:{set}", self.namespace)
    }

    pub(crate) fn roster(&self) -> RosterKeys {
        let base = format!("{}:{{roster}}", self.namespace);
        RosterKeys {
            nodes: format!("{base}:nodes"),
            marks: format!("{base}:marks"),
            about: format!("{base}:about"),
            orders: format!("{base}:orders"),
            queues: format!("{base}:queues"),
            schedulers: format!("{base}:schedulers"),
            views: format!("{base}:views"),
            history: HistoryKeys::new(&base),
        }
    }
}

impl LimitKeys {
    /// All of them, in the order of most scripts.
    pub(crate) fn all(&self) -> [&str; 7] {
        let Self { state, groups, jobs, turns, own, wake, timers } = self;
        [state, groups, jobs, turns, own, wake, timers]
    }

    /// The keys of the scripts that look at groups.
    pub(crate) fn of_groups(&self) -> [&str; 6] {
        [&self.state, &self.groups, &self.turns, &self.own, &self.wake, &self.timers]
    }
}

impl PartitionKeys {
    /// The stream of a lane.
    pub(crate) fn lane(&self, lane: Lane) -> &str {
        &self.ready[lane.index()]
    }

    /// Pub/sub channel on which one node is woken.
    pub(crate) fn wake(&self, node: &str) -> String {
        format!("{}:{node}", self.control)
    }

    /// String: the progress that a running job has reported.
    pub(crate) fn progress(&self, job: JobId) -> String {
        format!("{}:progress:{job}", self.base)
    }

    /// String: the completion record of a job, with the result of its handler. A pub/sub channel of
    /// the same name announces the record to waiting callers.
    pub(crate) fn result(&self, job: JobId) -> String {
        format!("{}:result:{job}", self.base)
    }

    /// String: the mark of a job that was imported.
    pub(crate) fn imported(&self, job: JobId, generation: Option<Timestamp>) -> String {
        let mut key = format!("{}:imported:{job}", self.base);
        if let Some(at) = generation {
            key.push(':');
            key.push_str(&at.millis().to_string());
        }
        key
    }

    /// String: the receipt of an idempotent enqueue.
    pub(crate) fn sent(&self, job: JobId) -> String {
        format!("{}:sent:{job}", self.base)
    }

    /// Hash: the options of a batcher, its generation counter and the number of waiting entries.
    pub(crate) fn batcher(&self, name: &str) -> String {
        format!("{}:batch:about:{name}", self.base)
    }

    /// Hash: group → generation, time of the first entry, and bytes of a batcher's filling list.
    pub(crate) fn batch_open(&self, name: &str) -> String {
        format!("{}:batch:open:{name}", self.base)
    }

    /// List: the gathering entries of a group. Neither name contains a colon, so the keys of two
    /// groups never collide.
    pub(crate) fn batch_fill(&self, name: &str, group: &str) -> String {
        format!("{}:batch:fill:{name}:{group}", self.base)
    }

    /// List: the entries of a sealed batch, named by the id of its job.
    pub(crate) fn batch_sealed(&self, job: JobId) -> String {
        format!("{}:batch:sealed:{job}", self.base)
    }

    /// List: entries of a batch that an attempt set aside. `part` names the list among the lists of
    /// the batch.
    pub(crate) fn batch_rest(&self, job: JobId, part: &str) -> String {
        format!("{}:batch:rest:{job}:{part}", self.base)
    }

    /// String: the receipt of an idempotent push.
    pub(crate) fn batch_token(&self, name: &str, token: &str) -> String {
        format!("{}:batch:token:{name}:{token}", self.base)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn public_keys_are_frozen() {
        let space = Keyspace::new(DEFAULT_NAMESPACE).unwrap();
        let mail = Partition::first(QueueName::new("mail").unwrap());
        let keys = space.partition(&mail);
        assert_eq!(keys.lane(Lane::Normal), "poolder:{mail.0}:ready:normal");
        assert_eq!(keys.lane(Lane::Front), "poolder:{mail.0}:ready:front");
        assert_eq!(GROUP, "workers");
        assert!(keys.sent(JobId::from_bytes([0; 16])).starts_with("poolder:{mail.0}:sent:"));
    }

    #[test]
    fn a_namespace_cannot_break_out_of_the_hash_tag() {
        assert!(Keyspace::new("a{b").is_err());
        assert!(Keyspace::new("").is_err());
    }
}
