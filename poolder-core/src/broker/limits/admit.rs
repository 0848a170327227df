//! Claims jobs of a limited queue, and waits until a job may start.

use redis::{Cmd, Value};

use crate::broker::connection::config::BLOCK;
use crate::broker::connection::failure::is_nogroup;
use crate::broker::connection::reply;
use crate::broker::connection::round_trips::{RedisOperation, Trip};
use crate::broker::keys::LimitKeys;
use crate::broker::{ClaimConnection, Claimed, Exchange, Settlement, Waited, scripts};
use crate::job::{Error, Lane, MAX_STORED};

/// The most jobs that one call of `claim.lua` admits.
const MAX_ADMITTED: usize = 250;

/// The findings of a claim of a limited queue besides its jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Admission {
    /// The number of suspects that wait to be claimed.
    pub suspects: u64,
    /// True when the next claim may find more jobs, although this one has brought fewer than it
    /// asked for.
    pub more: bool,
}

impl ClaimConnection {
    /// Settles, and claims jobs that may start, in one round trip. The claim does not wait. A caller
    /// that waited says whether it was `woken` by a token.
    ///
    /// # Errors
    /// As [`ClaimConnection::exchange`].
    pub async fn admit(
        &mut self,
        settlements: &[Settlement],
        count: usize,
        woken: bool,
    ) -> Result<(Exchange, Admission), Error> {
        let (count, bytes) = (count.clamp(1, MAX_ADMITTED), self.broker.script_reply_bytes());
        let mut pipe = redis::pipe();
        let plan = self.add_settlements(&mut pipe, settlements, false, true);
        pipe.add_command(self.admission(count, bytes, woken));
        let replies = self.round_trip(&pipe, settlements, Some(bytes)).await?;
        let mut replies = replies.into_iter();
        let (settled, depths) = plan.read(replies.by_ref(), self.broker.address());
        let mut admission = Admission::default();
        let claimed = match replies.next() {
            Some(Ok(reply)) => self.read_admission(reply, bytes, &mut admission).await,
            Some(Err(error)) if is_nogroup(&error) => {
                admission.more = true;
                self.create_groups().await.map(|()| Claimed::default())
            }
            Some(Err(error)) => Err(self.broker.classify(error)),
            None => Ok(Claimed::default()),
        };
        Ok((Exchange { settled, depths, claimed, asked: count }, admission))
    }

    /// Waits up to 5 s for a token, which says that a job may start.
    ///
    /// # Errors
    /// As [`ClaimConnection::exchange`].
    pub async fn wait_for_token(&mut self) -> Result<Waited, Error> {
        let mut pipe = redis::pipe();
        pipe.cmd("BLPOP").arg(&self.keys.limits.wake).arg(BLOCK.as_secs());
        match self.send(Trip::waiting(RedisOperation::Claim), &pipe).await?.pop() {
            Some(Ok(token)) => Ok(Waited { woken: token != Value::Nil, ..Waited::default() }),
            None => Ok(Waited::default()),
            Some(Err(error)) => Err(self.broker.classify(error)),
        }
    }

    fn admission(&self, count: usize, bytes: usize, woken: bool) -> Cmd {
        let LimitKeys { state, groups, jobs, turns, own, wake, timers } = &self.keys.limits;
        let [front, suspect, ..] = &self.keys.ready;
        let all = [state, groups, jobs, turns, own, wake, front, suspect, timers];
        let mut cmd = scripts::call(&scripts::ADMIT, all.map(String::as_str));
        cmd.arg(self.consumer.as_ref()).arg(count).arg(bytes).arg(MAX_STORED);
        cmd.arg(u8::from(woken));
        cmd
    }

    async fn read_admission(
        &mut self,
        reply: Value,
        bytes: usize,
        admission: &mut Admission,
    ) -> Result<Claimed, Error> {
        let mut values = reply::array(reply)?.into_iter();
        let mut number = || -> Result<u64, Error> {
            Ok(u64::try_from(reply::int(values.next().unwrap_or_default())?).unwrap_or(0))
        };
        (admission.suspects, admission.more) = (number()?, number()? > 0);
        let (claimed, full) = self.read_measured(values, Lane::Front, bytes).await?;
        admission.more |= full;
        Ok(claimed)
    }
}
