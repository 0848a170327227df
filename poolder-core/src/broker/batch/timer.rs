//! Sealing lists whose timeout has passed. Each such list has a timer in `due`.

use redis::Value;

use super::{BatcherHome, push};
use crate::broker::connection::reply;
use crate::broker::connection::round_trips::RedisOperation;
use crate::broker::{Broker, scripts};
use crate::job::{Error, Partition};

/// The start of a timer as `push.lua` writes it: `timer:batch:seal:<name>:<generation>:<group>`. A
/// timer is always longer than a job id.
const PREFIX: &str = "timer:batch:seal:";

/// The list that a timer seals.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::broker) struct Timer {
    home: BatcherHome,
    generation: String,
    group: String,
}

impl Timer {
    /// Reads a member of `due`; returns `None` when the member is not a timer of a batch.
    pub(in crate::broker) fn read(partition: &Partition, member: &[u8]) -> Option<Self> {
        let rest = std::str::from_utf8(member).ok()?.strip_prefix(PREFIX)?;
        let mut parts = rest.splitn(3, ':');
        let (name, generation, group) = (parts.next()?, parts.next()?, parts.next()?);
        let home = BatcherHome::new(partition.queue.as_str(), name).ok()?;
        generation.parse::<u64>().ok()?;
        Some(Self { home, generation: generation.into(), group: group.into() })
    }
}

impl Broker {
    /// Seals the lists of timers that are due, each list only if it still has the timer's
    /// generation, and removes the timers. Returns the number of sealed batches. Postpones the
    /// timers of lists that could not be sealed.
    pub(in crate::broker) async fn seal_due(
        &self,
        partition: &Partition,
        timers: &[Timer],
    ) -> Result<u64, Error> {
        let keys = self.keys(partition);
        let mut pipe = redis::pipe();
        for Timer { home, generation, group } in timers {
            pipe.add_command(push::seal(home, group, generation, &keys));
        }
        let mut sealed = 0;
        let mut failed = vec![];
        let replies = self.pipeline_of(RedisOperation::Promote, &pipe).await?;
        for (timer, reply) in timers.iter().zip(replies) {
            let reply = reply.map_err(|error| self.classify(error));
            match reply.and_then(reply::items::<4>).and_then(|[_, _, count, _]| reply::int(count)) {
                Ok(count) => sealed += u64::try_from(count).unwrap_or(0),
                Err(error) => {
                    tracing::error!(
                        %partition, batcher = timer.home.name(), group = timer.group, %error,
                        "cannot seal a batch whose timeout has passed, trying again in a minute"
                    );
                    let Timer { home, generation, group } = timer;
                    failed.push(format!("{PREFIX}{}:{generation}:{group}", home.name()).into());
                }
            }
        }
        self.postpone(partition, &failed).await?;
        Ok(sealed)
    }

    /// Postpones timers that cannot be handled now by a minute, so that they do not delay the
    /// members of `due` behind them.
    pub(in crate::broker) async fn postpone(
        &self,
        partition: &Partition,
        timers: &[Vec<u8>],
    ) -> Result<(), Error> {
        if timers.is_empty() {
            return Ok(());
        }
        let mut cmd = scripts::call(&scripts::TIMER_POSTPONE, [self.keys(partition).due.as_str()]);
        cmd.arg(60_000).arg(timers);
        self.command(&cmd).await.map(|_: Value| ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::QueueName;

    #[test]
    fn only_a_timer_of_a_batch_is_one() {
        let partition = Partition::first(QueueName::new("q").unwrap());
        let read = |text: &str| Timer::read(&partition, text.as_bytes());
        let found = read("timer:batch:seal:rows:17:a.b").unwrap();
        assert_eq!((found.home.name(), &*found.generation, &*found.group), ("rows", "17", "a.b"));
        assert_eq!(read("timer:batch:seal:rows:17:").unwrap().group, "");
        assert!("timer:batch:seal:r:1:".len() > 16, "never as long as a job id");
        for other in ["timer:batch:seal:rows:x:", "timer:batch:seal:rows", "timer:cron:x:1:"] {
            assert_eq!(read(other), None);
        }
    }

    proptest::proptest! {
        #[test]
        fn any_member_is_a_timer_of_a_batch_or_none(
            text in "timer:batch:seal:[a-z]{0,5}:[0-9]{0,25}:?.{0,40}",
            rubbish in crate::hostile::bytes(),
        ) {
            let partition = Partition::first(QueueName::new("q").unwrap());
            for member in [text.into_bytes(), rubbish] {
                let Some(timer) = Timer::read(&partition, &member) else { continue };
                let Timer { home, generation, group } = timer;
                let again = format!("{PREFIX}{}:{generation}:{group}", home.name());
                proptest::prop_assert_eq!(again.into_bytes(), member);
            }
        }
    }
}
