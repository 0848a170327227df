//! A fleet of nodes at one partition, as events in time: one server that does one thing after the
//! other, and nodes that wait, rest, are woken, claim and settle as Poolder's do.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

/// The prices of requests, in µs of the server's time; `trip` is the time of a message in both directions.
#[derive(Debug, Clone, Copy)]
pub(super) struct Costs {
    /// A command or pipeline of a node: its read, its reply and a claim or settlement in it.
    pub(super) command: u64,
    /// The price of a stored job for each node that blocks.
    pub(super) blocked: u64,
    /// A call of one of the scripts of wait permits.
    pub(super) script: u64,
    /// A message that wakes a node.
    pub(super) wake: u64,
    pub(super) trip: u64,
}

/// A fleet, and its jobs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scene {
    pub(super) nodes: usize,
    pub(super) slots: usize,
    /// The number of wait permits; `None` when every node blocks.
    pub(super) permits: Option<usize>,
    /// Jobs per second; 0 for none.
    pub(super) rate: u64,
    /// How long a job runs, in µs.
    pub(super) job: u64,
    pub(super) seconds: u64,
}

/// The figures of a run.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Figures {
    pub(super) jobs: usize,
    /// Server time per job in µs.
    pub(super) us_job: f64,
    /// The share of its time in which the server was busy.
    pub(super) busy: f64,
    /// Time from enqueue to start in ms: median, 99th percentile, longest.
    pub(super) pickup: [f64; 3],
    /// Requests of nodes per second, without beats and settlements.
    pub(super) requests: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Enqueue,
    /// Jobs that were claimed start on a node.
    Start {
        node: usize,
        jobs: usize,
    },
    End {
        node: usize,
    },
    /// A claim of a node has brought nothing.
    Empty {
        node: usize,
    },
    /// A node without room gives its permit up, if nothing has changed.
    GiveUp {
        node: usize,
        turn: u64,
    },
    Woken {
        node: usize,
    },
    Visit {
        node: usize,
        turn: u64,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// It claims, or has no room.
    Out,
    Blocked,
    /// It rests, with this pause before the next visit.
    Resting(u64),
}

#[derive(Debug, Clone, Copy)]
struct Node {
    running: usize,
    place: Place,
    permit: bool,
    /// Grows with each change, so that late timers are known.
    turn: u64,
}

const MILLI: u64 = 1_000;
const SECOND: u64 = 1_000_000;
const GRACE: u64 = 2 * MILLI;
const FIRST_PAUSE: u64 = 64 * MILLI;
const MAX_WOKEN: usize = 8;

struct Fleet {
    costs: Costs,
    scene: Scene,
    now: u64,
    events: BinaryHeap<Reverse<(u64, u64, Event)>>,
    order: u64,
    server_free: u64,
    server_used: u64,
    requests: u64,
    nodes: Vec<Node>,
    blocked: VecDeque<usize>,
    resting: Vec<usize>,
    permits: usize,
    /// When the jobs that wait were enqueued.
    ready: VecDeque<u64>,
    /// When the jobs that are on their way to a node were enqueued, for each node.
    claimed: Vec<VecDeque<u64>>,
    pickups: Vec<u64>,
    random: u64,
}

/// Runs a scene.
pub(super) fn run(scene: Scene, costs: Costs) -> Figures {
    let node = Node { running: 0, place: Place::Out, permit: false, turn: 0 };
    let mut fleet = Fleet {
        costs,
        scene,
        now: 0,
        events: BinaryHeap::new(),
        order: 0,
        server_free: 0,
        server_used: 0,
        requests: 0,
        nodes: vec![node; scene.nodes],
        blocked: VecDeque::new(),
        resting: vec![],
        permits: scene.permits.unwrap_or(usize::MAX),
        ready: VecDeque::new(),
        claimed: vec![VecDeque::new(); scene.nodes],
        pickups: vec![],
        random: 0x9E37_79B9_7F4A_7C15,
    };
    fleet.run()
}

impl Fleet {
    fn run(&mut self) -> Figures {
        for node in 0..self.scene.nodes {
            // Nodes do not start at the same moment.
            let at = self.below(SECOND);
            self.at(at, Event::Empty { node });
        }
        // Jobs come once the pauses of the nodes that rest have grown.
        let start = 300 * SECOND;
        let end = start + self.scene.seconds * SECOND;
        if self.scene.rate > 0 {
            self.at(start, Event::Enqueue);
        }
        let (mut used, mut requests) = (None, 0);
        while let Some(Reverse((at, _, event))) = self.events.pop() {
            if at >= start && used.is_none() {
                (used, requests) = (Some(self.server_used), self.requests);
            }
            if at > end {
                break;
            }
            self.now = at;
            self.happen(event, end);
        }
        let used = self.server_used - used.unwrap_or(self.server_used);
        let jobs = self.pickups.len();
        self.pickups.sort_unstable();
        let at = |share: f64| {
            let place = (jobs.saturating_sub(1) as f64 * share) as usize;
            self.pickups.get(place).map_or(0.0, |us| *us as f64 / 1e3)
        };
        let seconds = self.scene.seconds as f64;
        Figures {
            jobs,
            us_job: used as f64 / jobs.max(1) as f64,
            busy: used as f64 / (seconds * 1e6),
            pickup: [at(0.5), at(0.99), at(1.0)],
            requests: (self.requests - requests) as f64 / seconds,
        }
    }

    fn happen(&mut self, event: Event, end: u64) {
        match event {
            Event::Enqueue => {
                let mean = SECOND / self.scene.rate;
                let next = self.now + self.below(2 * mean) + 1;
                if next < end {
                    self.at(next, Event::Enqueue);
                }
                let blocked = self.blocked.len() as u64;
                let done = self.serve(self.costs.command + self.costs.blocked * blocked);
                match self.blocked.pop_front() {
                    Some(node) => {
                        self.nodes[node].place = Place::Out;
                        self.claimed[node].push_back(self.now);
                        self.at(done, Event::Start { node, jobs: 1 });
                    }
                    None => self.ready.push_back(self.now),
                }
            }
            Event::Start { node, jobs } => {
                for _ in 0..jobs {
                    if let Some(enqueued) = self.claimed[node].pop_front() {
                        self.pickups.push(self.now - enqueued);
                    }
                    self.nodes[node].running += 1;
                    self.at(self.now + self.scene.job, Event::End { node });
                }
                if self.nodes[node].running < self.scene.slots {
                    self.claim(node);
                } else if self.nodes[node].permit {
                    let turn = self.turn(node);
                    let left = !self.ready.is_empty();
                    let at = self.now + if left { 0 } else { GRACE };
                    self.at(at, Event::GiveUp { node, turn });
                }
            }
            Event::End { node } => {
                self.nodes[node].running -= 1;
                if self.nodes[node].place == Place::Blocked {
                    self.serve(self.costs.command);
                } else {
                    self.turn(node);
                    self.claim(node);
                }
            }
            Event::Empty { node } if self.nodes[node].place == Place::Out => self.wait(node),
            Event::Empty { node } => {
                let turn = self.turn(node);
                if let Place::Resting(pause) = self.nodes[node].place {
                    self.at(self.now + pause, Event::Visit { node, turn });
                }
            }
            Event::GiveUp { node, turn } if self.nodes[node].turn == turn => self.give_up(node),
            Event::Woken { node } if matches!(self.nodes[node].place, Place::Resting(_)) => {
                self.nodes[node].place = Place::Out;
                self.turn(node);
                self.wait(node);
            }
            Event::Visit { node, turn } if self.nodes[node].turn == turn => self.visit(node),
            Event::GiveUp { .. } | Event::Woken { .. } | Event::Visit { .. } => {}
        }
    }

    /// Settles and claims as many jobs as there is room for.
    fn claim(&mut self, node: usize) {
        let done = self.serve(self.costs.command);
        let room = self.scene.slots - self.nodes[node].running;
        let room = room.saturating_sub(self.claimed[node].len());
        let jobs = room.min(self.ready.len());
        self.claimed[node].extend(self.ready.drain(..jobs));
        self.at(done, if jobs > 0 { Event::Start { node, jobs } } else { Event::Empty { node } });
    }

    /// Blocks, or asks for a permit, or rests.
    fn wait(&mut self, node: usize) {
        if self.nodes[node].running == self.scene.slots {
            return;
        }
        let needed = self.scene.permits.is_some_and(|permits| self.scene.nodes > permits);
        if needed && !self.nodes[node].permit {
            self.requests += 1;
            self.serve(self.costs.script);
            if self.permits == 0 {
                self.rest(node, FIRST_PAUSE);
                self.resting.push(node);
                if self.ready.is_empty() {
                    return;
                }
            } else {
                self.permits -= 1;
                self.nodes[node].permit = true;
            }
        }
        if !self.ready.is_empty() {
            return self.claim(node);
        }
        self.requests += 1;
        self.serve(self.costs.command);
        self.turn(node);
        self.nodes[node].place = Place::Blocked;
        self.blocked.push_back(node);
    }

    fn give_up(&mut self, node: usize) {
        self.requests += 1;
        self.nodes[node].permit = false;
        self.permits += 1;
        let total = self.scene.permits.unwrap_or(0);
        let few = total - self.permits < total.div_ceil(2);
        let wanted = (self.ready.len() + usize::from(few)).min(MAX_WOKEN);
        let woken = self.resting.split_off(self.resting.len().saturating_sub(wanted));
        let done = self.serve(self.costs.script + self.costs.wake * woken.len() as u64);
        for node in woken {
            self.at(done, Event::Woken { node });
        }
    }

    fn visit(&mut self, node: usize) {
        self.requests += 1;
        let Place::Resting(pause) = self.nodes[node].place else { return };
        if self.permits > 0 {
            self.serve(self.costs.command);
            self.resting.retain(|other| *other != node);
            self.nodes[node].place = Place::Out;
            return self.wait(node);
        }
        if !self.resting.contains(&node) {
            self.resting.push(node);
        }
        let longest = (100 * MILLI * self.scene.nodes as u64).clamp(8 * SECOND, 120 * SECOND);
        self.rest(node, (2 * pause).min(longest));
        self.claim_at_visit(node);
    }

    fn claim_at_visit(&mut self, node: usize) {
        let done = self.serve(self.costs.command);
        if self.nodes[node].running < self.scene.slots
            && let Some(enqueued) = self.ready.pop_front()
        {
            self.claimed[node].push_back(enqueued);
            self.at(done, Event::Start { node, jobs: 1 });
        }
    }

    fn rest(&mut self, node: usize, pause: u64) {
        let turn = self.turn(node);
        self.nodes[node].place = Place::Resting(pause);
        let at = self.now + pause * 3 / 4 + self.below(pause / 2 + 1);
        self.at(at, Event::Visit { node, turn });
    }

    fn turn(&mut self, node: usize) -> u64 {
        self.nodes[node].turn += 1;
        self.nodes[node].turn
    }

    /// Lets the server work for this many µs. Returns when its reply arrives.
    fn serve(&mut self, us: u64) -> u64 {
        let begin = self.server_free.max(self.now + self.costs.trip / 2);
        self.server_free = begin + us;
        self.server_used += us;
        self.server_free + self.costs.trip / 2
    }

    fn at(&mut self, time: u64, event: Event) {
        self.order += 1;
        self.events.push(Reverse((time, self.order, event)));
    }

    /// Returns a random number below `limit`, the same in every run.
    fn below(&mut self, limit: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COSTS: Costs = Costs { command: 20, blocked: 6, script: 30, wake: 4, trip: 200 };

    fn scene(nodes: usize, permits: Option<usize>) -> Scene {
        Scene { nodes, slots: 4, permits, rate: 50, job: 1_000, seconds: 20 }
    }

    #[test]
    fn every_job_starts_and_a_run_can_be_repeated() {
        for permits in [None, Some(8)] {
            let busy = Scene { rate: 1_000, job: 50_000, ..scene(32, permits) };
            let figures = run(busy, COSTS);
            // About half of the slots are busy, so that none waits for long at the end.
            assert!((19_000..21_000).contains(&figures.jobs), "{figures:?}");
            assert_eq!(figures, run(busy, COSTS));
        }
    }

    #[test]
    fn idle_nodes_cost_a_job_nothing_only_with_permits() {
        let cost = |nodes, permits| run(scene(nodes, permits), COSTS).us_job;
        assert!(cost(256, None) > 5.0 * cost(1, None));
        assert!(cost(256, Some(8)) < 2.0 * cost(1, Some(8)));
    }
}
