//! Jobs that come to the queue, are put into their groups, and are changed by operators.

use poolder::{JobId, Lane};
use poolder_core::broker::{PreparedJob, Stored};
use poolder_core::{Envelope, Format, Handle, Place};

use super::{At, Job, LATER, Walk, Wrong, must};

impl Walk<'_> {
    pub(super) async fn enqueue(&mut self) -> Result<(), Wrong> {
        for _ in 0..self.random.pick(&[1, 1, 2, 5, 12]) {
            let (group, id) = (self.group(), JobId::generate());
            let lane = self.random.pick(&[Lane::Normal, Lane::Normal, Lane::Low, Lane::High]);
            if self.random.chance(15) && lane != Lane::High {
                let (stream, kind) = (self.key(&format!("ready:{lane}")), "k");
                let mut add = redis::cmd("XADD");
                add.arg(&stream).arg("*").arg("kind").arg(kind).arg("payload").arg("{}");
                if !group.is_empty() {
                    add.arg("group").arg(&group);
                }
                let entry: String = add.query_async(&mut self.raw).await.unwrap();
                let id = self.id_of_plain(&stream, &entry).await;
                self.jobs
                    .insert(id, Job { group, at: At::Intake, first: false, crashes: 0, cost: 1 });
                self.plain.insert(format!("{stream} {entry}"), id);
                continue;
            }
            let build = Envelope::build(id, "k", 1, None, Format::Json, |out| {
                out.extend(b"{}");
                Ok(())
            });
            let envelope = build.and_then(|envelope| envelope.in_group(&group)).unwrap();
            let cost = self.random.pick(&[1, 1, 1, 2, 300]);
            let envelope = envelope.costing(cost).unwrap();
            if self.random.chance(8) {
                // It comes back from `due`, and two nodes have died under it.
                let counters: &[u8] = b"\x96\x00\x02\x00\x00\x03\xc0";
                let mut add = redis::cmd("XADD");
                add.arg(self.key("ready:normal")).arg("*").arg("j").arg(envelope.as_bytes());
                add.arg("c").arg(counters).exec_async(&mut self.raw).await.unwrap();
                self.jobs.insert(id, Job { group, at: At::Intake, first: false, crashes: 2, cost });
                continue;
            }
            let mut new = PreparedJob::new(self.partition.clone(), envelope);
            new.lane = lane;
            let stored = self.broker.enqueue(&new).await.unwrap().stored;
            let (first, mut at) = (lane == Lane::High, At::Intake);
            // With nothing before it in its lane, it goes straight into its group.
            if let Stored::Grouped(of, _) = stored {
                must!(*of == *group && !first, "{of:?} is not {group:?}");
                let before = self.entries(Lane::Normal).await.len();
                must!(before == 0, "it goes before {before} jobs of its lane");
                self.order.entry(group.clone()).or_default().push_back(id);
                at = At::Waiting;
            }
            self.jobs.insert(id, Job { group, at, first, crashes: 0, cost });
        }
        Ok(())
    }

    /// Returns the UUIDv5 of a plain entry, by the server's SHA-1.
    async fn id_of_plain(&mut self, stream: &str, entry: &str) -> JobId {
        let mut ask = redis::cmd("EVAL");
        ask.arg("return redis.sha1hex(ARGV[1])").arg(0);
        ask.arg(format!("poolder job ids\0{stream}\n{entry}"));
        let digits: String = ask.query_async(&mut self.raw).await.unwrap();
        let byte = |at: usize| u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).unwrap();
        let mut bytes: [u8; 16] = std::array::from_fn(byte);
        bytes[6] = bytes[6] & 0x0f | 0x50;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        JobId::from_bytes(bytes)
    }

    pub(super) async fn sort(&mut self) -> Result<(), Wrong> {
        let mut expected: Vec<Vec<JobId>> = vec![];
        for lane in [Lane::High, Lane::Normal, Lane::Low] {
            expected.push(self.entries(lane).await.into_iter().map(|entry| entry.job).collect());
        }
        let sorted = self.broker.sort(&self.partition, &mut self.up_to).await;
        let sorted = sorted.map_err(|error| error.to_string())?;
        let total: usize = expected.iter().map(Vec::len).sum();
        must!(sorted == Some(total as u64), "{sorted:?} were sorted, not {total}");
        for lane in expected {
            for id in lane.iter().rev().filter(|id| self.jobs[*id].first) {
                let group = self.jobs[id].group.clone();
                self.order.entry(group).or_default().push_front(*id);
            }
            for id in lane.iter().filter(|id| !self.jobs[*id].first) {
                let group = self.jobs[id].group.clone();
                self.order.entry(group).or_default().push_back(*id);
            }
            for id in lane {
                self.jobs.get_mut(&id).unwrap().at = At::Waiting;
            }
        }
        let again = self.broker.sort(&self.partition, &mut self.up_to).await.unwrap();
        must!(again == Some(0), "{again:?} were sorted twice");
        Ok(())
    }

    pub(super) async fn promote(&mut self) -> Result<(), Wrong> {
        self.broker.promote_as_of(&self.partition, Some(LATER)).await.unwrap();
        for job in self.jobs.values_mut().filter(|job| job.at == At::Due) {
            job.at = At::Intake;
        }
        Ok(())
    }

    /// Cancels, deletes, puts off or buries a job that waits in its group, or holds a permit while it
    /// waits to run again.
    pub(super) async fn operate(&mut self) -> Result<(), Wrong> {
        let waiting = self.jobs.iter().filter(|(_, job)| job.at == At::Waiting);
        let mut waiting: Vec<JobId> = waiting.map(|(id, _)| *id).collect();
        let mut admitted = self.unclaimed(Lane::Front).await;
        admitted.extend(self.unclaimed(Lane::Suspect).await);
        if !admitted.is_empty() && self.random.chance(50) {
            waiting = admitted;
        }
        if waiting.is_empty() {
            return Ok(());
        }
        let id = self.random.pick(&waiting);
        let handle = Handle { partition: self.partition.clone(), job: id, place: None };
        let found = self.broker.find(&handle).await.map_err(|error| error.to_string())?;
        let found = found.ok_or("a waiting job is not found")?;
        match &found.handle.place {
            Some(Place::Group(group, _)) => {
                must!(**group == *self.jobs[&id].group, "it is in {group:?}");
            }
            Some(Place::Entry(Lane::Front | Lane::Suspect, _)) => {}
            other => return Err(format!("a waiting job is at {other:?}")),
        }
        let again = found.handle.to_string().parse::<Handle>().unwrap();
        let how = self.random.below(4);
        let (done, at) = match how {
            0 => (self.broker.cancel(&again).await.map(drop), At::Gone),
            1 => (self.broker.delete(&again).await, At::Gone),
            2 => (self.broker.reschedule(&again, Some(LATER)).await, At::Due),
            _ => (self.broker.bury(&again, "why").await, At::Dead),
        };
        must!(done.is_ok(), "change {how}: {done:?}");
        let job = self.jobs.get_mut(&id).unwrap();
        self.order.entry(job.group.clone()).or_default().retain(|other| *other != id);
        let first = found.counters.failures > 0 || found.counters.home() == Lane::High;
        (job.at, job.first) = (at, first && at == At::Due);
        Ok(())
    }
}
