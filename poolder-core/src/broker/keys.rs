//! The key schema. No other file spells a key.
//!
//! Everything of a partition shares one hash tag, so that a script never leaves its slot. The
//! ready streams, the group name and the plain entry form are public: producers without a Poolder
//! client and autoscalers may rely on them.

use std::sync::Arc;

use crate::job::{Error, JobId, Lane, Partition, QueueName, check_name};

/// The consumer group in which the workers of a queue compete.
pub(crate) const GROUP: &str = "workers";

/// The namespace when none is configured.
pub(crate) const DEFAULT_NAMESPACE: &str = "poolder";

/// All keys of one namespace.
#[derive(Debug, Clone)]
pub(crate) struct Keyspace {
    namespace: Arc<str>,
}

/// The keys of one partition, spelled once.
#[derive(Debug, Clone)]
pub(crate) struct PartitionKeys {
    /// The ready streams, in the order of [`Lane::ALL`].
    pub(crate) ready: [String; 5],
    /// Sorted set: due time in ms → job id.
    pub(crate) due: String,
    /// Hash: job id → the waiting job.
    pub(crate) bodies: String,
    /// Sorted set: time of death in ms → job id.
    pub(crate) dead: String,
    /// Hash: job id → the dead job.
    pub(crate) dead_bodies: String,
    /// Who leads the partition, in which term: text that ends with the lease.
    pub(crate) leader: String,
    /// Hash: who holds an addressed slot, in which term.
    pub(crate) lease: String,
    /// What recurs.
    pub(crate) schedules: ScheduleKeys,
    /// Hash of counters.
    pub(crate) stats: String,
    /// Hash: what operators ordered for the partition, and how often they did; in partition 0 also
    /// what the queue's pool is like.
    pub(crate) meta: String,
    /// Sorted set: when it was ordered, in ms → job id that shall not run.
    pub(crate) cancelled: String,
    /// Pub/sub channel for hints.
    pub(crate) control: String,
    /// Hash: batch job id → what is known of its sealed list.
    pub(crate) batches: String,
    /// Set of batch job ids that were dropped from the dead, whose lists are to be removed.
    pub(crate) batches_dropped: String,
    /// Sorted set: last sign in ms → node that serves the addressed pool; of partition 0.
    pub(crate) members: String,
    /// Set of slots that have run what came before the last resize; of partition 0.
    pub(crate) drained: String,
    /// Set of slots beyond the size that are empty for good; of partition 0.
    pub(crate) retired: String,
    base: String,
}

/// The keys about the schedules of a partition.
#[derive(Debug, Clone)]
pub(crate) struct ScheduleKeys {
    /// Hash: name → what it runs, and when.
    pub(crate) records: String,
    /// Hash: name → its revision, its last tick, and what was counted.
    pub(crate) states: String,
    /// Sorted set: time of the next tick in ms → name, for those that have one.
    pub(crate) next: String,
    /// Hash: name → the job that is still under way, where two must not run at once.
    pub(crate) running: String,
    /// Hash: name → the job that waits for it to end.
    pub(crate) queued: String,
}

/// The keys about the nodes of a namespace.
#[derive(Debug, Clone)]
pub(crate) struct RosterKeys {
    /// Sorted set: last beat in ms → node.
    pub(crate) nodes: String,
    /// Sorted set: time of death in ms → node.
    pub(crate) marks: String,
    /// Hash: node → what it says about itself.
    pub(crate) about: String,
    /// Set of the queues that were ever used.
    pub(crate) queues: String,
    /// Hash: owner of declared schedules → the queues in which it has some.
    pub(crate) schedulers: String,
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

    /// True when the word begins as every key of this namespace does.
    pub(crate) fn is_ours(&self, word: &[u8]) -> bool {
        let rest = word.strip_prefix(self.namespace.as_bytes());
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
            leader: format!("{base}:leader"),
            lease: format!("{base}:lease"),
            schedules: ScheduleKeys {
                records: format!("{base}:schedules"),
                states: format!("{base}:schedules:state"),
                next: format!("{base}:schedules:next"),
                running: format!("{base}:schedules:running"),
                queued: format!("{base}:schedules:queued"),
            },
            stats: format!("{base}:stats"),
            cancelled: format!("{base}:cancelled"),
            control: format!("{base}:control"),
            batches: format!("{base}:batch:index"),
            batches_dropped: format!("{base}:batch:dropped"),
            meta: format!("{base}:meta"),
            members: format!("{base}:members"),
            drained: format!("{base}:drained"),
            retired: format!("{base}:retired"),
            base,
        }
    }

    /// The stream that every living slot of a broadcast pool reads, and its counter.
    pub(crate) fn broadcast(&self, queue: &QueueName) -> [String; 2] {
        let stream = format!("{}:{{{queue}}}:broadcast", self.namespace);
        let counter = format!("{stream}:count");
        [stream, counter]
    }

    /// The queues of the pools in a set.
    pub(crate) fn pool_set(&self, set: &str) -> String {
        format!("{}:{{roster}}:group:{set}", self.namespace)
    }

    pub(crate) fn roster(&self) -> RosterKeys {
        let base = format!("{}:{{roster}}", self.namespace);
        RosterKeys {
            nodes: format!("{base}:nodes"),
            marks: format!("{base}:marks"),
            about: format!("{base}:about"),
            queues: format!("{base}:queues"),
            schedulers: format!("{base}:schedulers"),
        }
    }
}

impl PartitionKeys {
    /// The stream of a lane.
    pub(crate) fn lane(&self, lane: Lane) -> &str {
        &self.ready[lane.index()]
    }

    /// How far a running job has come, by its own account.
    pub(crate) fn progress(&self, job: JobId) -> String {
        format!("{}:progress:{job}", self.base)
    }

    /// How a job ended, and what its handler returned. A channel of the same name tells those who
    /// wait.
    pub(crate) fn result(&self, job: JobId) -> String {
        format!("{}:result:{job}", self.base)
    }

    /// The receipt of an idempotent enqueue.
    pub(crate) fn sent(&self, job: JobId) -> String {
        format!("{}:sent:{job}", self.base)
    }

    /// Hash: the options of a batcher, its generations and how many of its entries wait.
    pub(crate) fn batcher(&self, name: &str) -> String {
        format!("{}:batch:about:{name}", self.base)
    }

    /// Hash: group → generation, first entry's time and bytes of a batcher's filling lists.
    pub(crate) fn batch_open(&self, name: &str) -> String {
        format!("{}:batch:open:{name}", self.base)
    }

    /// List: the entries of a group that gather. Neither name has a colon, so no two are alike.
    pub(crate) fn batch_fill(&self, name: &str, group: &str) -> String {
        format!("{}:batch:fill:{name}:{group}", self.base)
    }

    /// List: the entries of a sealed batch, by the id of its job.
    pub(crate) fn batch_sealed(&self, job: JobId) -> String {
        format!("{}:batch:sealed:{job}", self.base)
    }

    /// List: what an attempt leaves of a batch, `part` telling one such list from another.
    pub(crate) fn batch_rest(&self, job: JobId, part: &str) -> String {
        format!("{}:batch:rest:{job}:{part}", self.base)
    }

    /// The receipt of an idempotent push.
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
