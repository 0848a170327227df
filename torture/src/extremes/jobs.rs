//! Enqueues and calls with extreme settings, and the end of their jobs.

use std::time::{Duration, Instant};

use poolder::{
    Durability, Handle, JobId, JobState, MAX_PAYLOAD, Policy, QueueName, Receipt, Stored,
};

use super::caller::{Calls, END, PAUSE};
use super::draw::{Draw, HOUR};
use super::{JOBS, Odd};

/// The states of a job that waits for its first or another attempt, or makes one.
const OPEN: &[JobState] = &[JobState::Ready, JobState::Running, JobState::Retrying];

impl Calls {
    /// Enqueues a job with drawn settings, and checks its end.
    pub(super) async fn enqueue(&self, number: u64, mut draw: Draw) {
        let fails = draw.random.percent(40);
        let padding = if draw.forbid("payload") { "p".repeat(MAX_PAYLOAD) } else { String::new() };
        let job = Odd { number, fails, padding };
        let (queue, lane, name) = (draw.queue(JOBS), draw.lane(), draw.name(number));
        let policy = draw.policy();
        let kept = if draw.forbid("kept completion") { Duration::ZERO } else { draw.kept() };
        let idempotent = draw.random.percent(50).then(|| draw.duration());
        // A durable enqueue with a time or a window takes the same way as one without.
        let durability = draw.durability();
        let (far, absolute) = (draw.random.percent(25), draw.random.percent(50));
        let (after, at) = (draw.duration_if(far), draw.moment(far));
        let build = || {
            let mut enqueue = self.client.enqueue(job.clone()).queue(&queue).lane(lane).id(&name);
            enqueue = enqueue.policy(policy.clone()).keep_completion(kept).durability(durability);
            enqueue = if absolute { enqueue.at(at) } else { enqueue.after(after) };
            match idempotent {
                Some(window) => enqueue.idempotent(window),
                None => enqueue,
            }
        };
        let what = format!(
            "enqueue {number} {lane} {policy:?} kept {kept:?} window {idempotent:?} {durability:?} \
             {}",
            if absolute { format!("at {at}") } else { format!("after {after:?}") }
        );
        // Without a window a repetition could store a second job under the same id. In a short
        // window the client itself repeats the enqueue after a lost reply, maybe too late.
        let repeats = idempotent.is_some_and(|window| window >= HOUR);
        if !repeats && let Ok(queue) = QueueName::new(&queue) {
            self.repeatable(JobId::named(&queue, &name));
        }
        let enqueue = async || match build().await {
            Err(error) if error.is_unknown() && !repeats => Ok(None),
            other => other.map(Some),
        };
        let Some(receipt) = self.drawn(&what, &draw, enqueue).await.flatten() else {
            if let (Some(_), Ok(queue)) = (&draw.forbidden, QueueName::new(&queue)) {
                self.is_absent(&what, &Handle::new(queue.clone(), JobId::named(&queue, &name)))
                    .await;
            }
            return;
        };
        if repeats && durability == Durability::Memory {
            let again = self.good(&what, async || build().await).await;
            if again.is_some_and(|again| again.stored != Stored::Already) {
                self.broken("an idempotent enqueue was stored twice", what.clone());
            }
        }
        if far {
            self.waits(&what, &receipt).await;
        } else {
            self.ends(&what, &receipt, &policy, fails, kept >= HOUR).await;
        }
    }

    /// Calls a job with a drawn timeout.
    pub(super) async fn call(&self, number: u64, mut draw: Draw) {
        let job = Odd { number, fails: draw.random.percent(20), padding: String::new() };
        let (queue, lane, timeout) = (draw.queue(JOBS), draw.lane(), draw.duration());
        let policy = Policy::default().attempts(1).crashes(50);
        let build = || {
            let call = self.client.call::<_, u64>(job.clone()).queue(&queue).lane(lane);
            call.timeout(timeout).policy(policy.clone())
        };
        let what = format!("call {number} {lane} timeout {timeout:?}");
        if draw.forbidden.is_some() {
            self.drawn(&what, &draw, async || build().await).await;
            return;
        }
        match self.answer(&what, async || build().await).await {
            None => {}
            Some(Ok(result)) if result == number && !job.fails => {}
            Some(Err(error)) if error.is_dead() && job.fails => {}
            Some(Err(error)) if error.is_timeout() && timeout < HOUR => {}
            Some(other) => self.broken("a call ended wrongly", format!("{what}: {other:?}")),
        }
    }

    /// Checks that a refused job was not stored.
    async fn is_absent(&self, what: &str, job: &Handle) {
        if let Some(Some(state)) =
            self.good(what, async || self.client.job(job).state().await).await
        {
            self.broken("a refused job was stored", format!("{what}: {state:?}"));
        }
    }

    /// Checks that a job waits for a time far away, and deletes it.
    async fn waits(&self, what: &str, receipt: &Receipt) {
        let state = self.good(what, async || self.client.job(receipt).state().await).await;
        if state.is_some_and(|state| state != Some(JobState::Scheduled)) {
            self.broken("a job does not wait for its time", format!("{what}: {state:?}"));
        }
        // A deletion whose reply was lost finds no job the second time.
        self.good_or_gone(what, async || self.client.job(receipt).remove().await).await;
        if let Some(Some(view)) =
            self.good(what, async || self.client.job(receipt).view().await).await
        {
            self.broken("a deleted job is still there", format!("{what}: {:?}", view.state));
        }
    }

    /// Checks how a job ends. `recorded` tells that the end is on record for long enough.
    pub(super) async fn ends(
        &self,
        what: &str,
        receipt: &Receipt,
        policy: &Policy,
        fails: bool,
        recorded: bool,
    ) {
        let wait = policy.backoff.delay(1, 0.0);
        if !fails {
            let ends = if recorded { vec![Some(JobState::Completed)] } else { vec![None] };
            self.comes_to(what, receipt, &ends).await;
        } else if policy.attempts == 1 || (policy.attempts == 2 && wait < Duration::from_secs(2)) {
            if self.comes_to(what, receipt, &[Some(JobState::Dead)]).await {
                self.revive(what, receipt).await;
            }
        } else {
            let kept = if wait >= HOUR { &[JobState::Retrying] } else { OPEN };
            let kept: Vec<_> = kept.iter().copied().map(Some).collect();
            if self.comes_to(what, receipt, &kept).await {
                self.good(what, async || self.client.job(receipt).cancel().await).await;
                self.comes_to(what, receipt, &[Some(JobState::Cancelled), None]).await;
            }
        }
    }

    /// Edits a dead job so that it succeeds, and checks that it does.
    async fn revive(&self, what: &str, receipt: &Receipt) {
        let payload = serde_json::json!({"number": 1, "fails": false, "padding": ""});
        let revive = async || self.client.job(receipt).edit_and_revive(&payload).await;
        // A call whose reply was lost finds no dead job the second time.
        self.good_or_gone(what, revive).await;
        self.comes_to(what, receipt, &[Some(JobState::Completed), None]).await;
    }

    /// Waits until a job is in one of these states; false when that does not happen, which is
    /// recorded.
    async fn comes_to(&self, what: &str, receipt: &Receipt, states: &[Option<JobState>]) -> bool {
        let begun = Instant::now();
        loop {
            let state = self.good(what, async || self.client.job(receipt).state().await).await;
            let Some(state) = state else { return false };
            // A result is on record even when its job asked for none.
            if states.contains(&state) || (state == Some(JobState::Completed) && states == [None]) {
                return true;
            }
            if begun.elapsed() > END {
                let text = format!("{what}: {state:?} instead of {states:?}");
                self.broken("a job did not end as promised", text);
                return false;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}
