//! Deaths of which hooks are told. A burial that is asked to adds the id of the dead job to a sorted
//! set; a node takes it from there, and removes it once its hooks have returned.

use std::time::Duration;

use crate::broker::admin::job_view::{dead_view, shown};
use crate::broker::connection::reply;
use crate::broker::jobs::value::{read_value, value_call};
use crate::broker::{Broker, scripts};
use crate::job::{Error, Handle, JobId, MAX_STORED, Partition, Timestamp, clamped_millis};
use crate::view::JobView;

/// The most deaths that one call takes.
const MAX_DEATHS: usize = 8;
/// The number of times that the hooks are told of a death.
const MAX_TRIES: u8 = 10;
/// The pause after the first try. It doubles with each try, and must be longer than a hook may take.
const FIRST_PAUSE: Duration = Duration::from_secs(60);
/// The longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(60 * 60);

/// A death that this node has taken to tell its hooks of it.
#[derive(Debug, Clone, PartialEq)]
pub struct TakenDeath {
    /// The dead job; `None` if it was revived, removed or dropped meanwhile.
    pub job: Option<JobView>,
    /// The number of this try, from 1.
    pub tries: u8,
    member: Vec<u8>,
}

impl TakenDeath {
    /// Returns true when the hooks are not told of the death again.
    #[must_use]
    pub fn is_last_try(&self) -> bool {
        self.tries >= MAX_TRIES
    }
}

impl Broker {
    /// Takes up to 8 deaths of which no hook was told yet, or whose hooks did not return. Unless
    /// [`Broker::death_told`] follows, a death is taken again after a minute, then after twice the
    /// time each, up to an hour, 10 times in all.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command.
    pub async fn take_deaths(&self, partition: &Partition) -> Result<Vec<TakenDeath>, Error> {
        let keys = self.keys(partition);
        let mut cmd = scripts::call(&scripts::DEATHS, [keys.dead_hooks.as_str()]);
        cmd.arg(MAX_DEATHS).arg(MAX_TRIES);
        cmd.arg(clamped_millis(FIRST_PAUSE)).arg(clamped_millis(LONGEST_PAUSE));
        let members = reply::array(self.command(&cmd).await?)?;
        let members: Vec<Vec<u8>> =
            members.into_iter().map(reply::bytes).collect::<Result<_, _>>()?;
        if members.is_empty() {
            return Ok(vec![]);
        }
        let mut pipe = redis::pipe();
        for member in &members {
            let id = member.get(..16).unwrap_or_default();
            pipe.cmd("ZSCORE").arg(&keys.dead).arg(id);
            pipe.add_command(value_call(&keys.dead_bodies, id, MAX_STORED));
        }
        let mut replies = self.pipeline(&pipe).await?.into_iter();
        let mut next = || {
            let reply = replies.next().unwrap_or(Ok(redis::Value::Nil));
            reply.map_err(|error| self.classify(error))
        };
        let mut deaths = vec![];
        for member in members {
            let (died, record) = (next()?, read_value(next()?)?);
            let id = member.get(..16).and_then(|id| id.try_into().ok()).map(JobId::from_bytes);
            let job = match (id, died, record) {
                (Some(job), died, Some(record)) if died != redis::Value::Nil => {
                    let at = Timestamp::from_millis(reply::int(died)?);
                    let handle = Handle { partition: partition.clone(), job, place: None };
                    Some(shown(record, |record| dead_view(&handle, record, at)))
                }
                _ => None,
            };
            let tries = member.get(16).copied().unwrap_or(MAX_TRIES);
            deaths.push(TakenDeath { job, tries, member });
        }
        Ok(deaths)
    }

    /// Notes that the hooks were told of a death. A later death of the same job is not affected.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command: the death may be
    /// taken again.
    pub async fn death_told(&self, partition: &Partition, death: &TakenDeath) -> Result<(), Error> {
        let mut cmd = redis::cmd("ZREM");
        cmd.arg(&self.keys(partition).dead_hooks).arg(&death.member);
        self.command(&cmd).await.map(|_| ())
    }
}
