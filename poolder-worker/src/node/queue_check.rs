//! Finds pools whose workers wait for jobs that are sent elsewhere.

use std::collections::BTreeMap;

use crate::run::pool::PoolPlan;
use poolder_core::policy::dispatch::Mode;

/// The queue of a pool of the node, and the kinds of a worker of this pool with the queue that their
/// type names.
struct Served<'a> {
    queue: &'a str,
    kinds: &'static [&'static str],
    home: &'static str,
}

/// Returns a warning for each worker of a shared pool whose job type names another queue than that
/// of its pool. Such jobs reach the worker only when each enqueue names the queue of the pool; one
/// that does not goes to a queue in which no worker of this node knows it. A pool into which jobs are
/// cast or broadcast is always named, and so is the queue of a scheduler or a batcher.
pub(super) fn misplaced(plans: &[PoolPlan]) -> Vec<String> {
    let shared = plans.iter().filter(|plan| plan.spec.mode == Mode::Shared);
    let workers = shared.flat_map(|plan| {
        let queue = plan.spec.queue.as_str();
        plan.spec.homes.iter().map(move |(kinds, home)| Served { queue, kinds, home })
    });
    warnings(&workers.collect::<Vec<_>>())
}

fn warnings(workers: &[Served<'_>]) -> Vec<String> {
    let mut elsewhere: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
    for worker in workers.iter().filter(|worker| worker.queue != worker.home) {
        // The kind may have workers in both queues.
        let lacks = |kind: &&str| {
            !workers.iter().any(|it| it.queue == worker.home && it.kinds.contains(kind))
        };
        let kinds = worker.kinds.iter().copied().filter(lacks);
        elsewhere.entry((worker.home, worker.queue)).or_default().extend(kinds);
    }
    let told = elsewhere.into_iter().filter(|(_, kinds)| !kinds.is_empty());
    told.map(|((home, queue), kinds)| {
        let kinds = kinds.join(", ");
        let served = workers.iter().any(|worker| worker.queue == home);
        let lack = if served { "the pool of that queue has no worker for them" } else { "no pool of this node serves that queue" };
        format!(
            "jobs of kind {kinds} go to queue {home} unless an enqueue names another, and {lack}: \
             this node has their worker in the pool of queue {queue}. Set the queue of the type, as \
             in #[job(queue = \"{queue}\")], or move the worker"
        )
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::{Served, warnings};

    fn served<'a>(
        queue: &'a str,
        kinds: &'static [&'static str],
        home: &'static str,
    ) -> Served<'a> {
        Served { queue, kinds, home }
    }

    #[test]
    fn a_worker_in_the_queue_of_its_type_is_right() {
        assert!(warnings(&[served("mail", &["a", "b"], "mail")]).is_empty());
        assert!(warnings(&[]).is_empty());
    }

    #[test]
    fn a_worker_in_another_queue_is_told_with_its_mend() {
        let told = warnings(&[served("mail", &["a"], "default")]);
        assert_eq!(told.len(), 1);
        assert!(told[0].contains("kind a go to queue default"), "{told:?}");
        assert!(told[0].contains("no pool of this node serves that queue"), "{told:?}");
        assert!(told[0].contains("#[job(queue = \"mail\")]"), "{told:?}");
    }

    #[test]
    fn a_pool_of_the_right_queue_without_the_worker_is_told_apart() {
        let told = warnings(&[served("mail", &["a"], "text"), served("text", &["b"], "text")]);
        assert!(told[0].contains("the pool of that queue has no worker for them"), "{told:?}");
    }

    #[test]
    fn a_kind_with_workers_in_both_queues_is_right() {
        let both = [served("mail", &["a"], "text"), served("text", &["a"], "text")];
        assert!(warnings(&both).is_empty());
    }

    #[test]
    fn the_kinds_of_two_queues_share_a_line() {
        let told = warnings(&[served("mail", &["a"], "text"), served("mail", &["b"], "text")]);
        assert_eq!(told.len(), 1);
        assert!(told[0].contains("kind a, b go"), "{told:?}");
    }
}
