//! Schedules that are declared in code, for jobs of any workers.

use poolder_core::broker::Declaration;
use poolder_core::{
    Envelope, Error, Format, Job, JobId, QueueName, Schedule, Timing, check_schedule_name,
};

use super::builder::declaring;
use crate::node::builder::{Component, NodeBuilder};
use crate::process::deploy::this_deploy;

/// Schedules of jobs of any types, declared in code: a component of a node.
///
/// Each entry enqueues its job into the queue of the job's type, where a pool of this node or of
/// another node runs it.
///
/// ```
/// # use poolder_worker::Crontab;
/// # use poolder_core::{Job, Lane};
/// # #[derive(serde::Serialize, serde::Deserialize)]
/// # struct Invoices { month: bool }
/// # impl Job for Invoices { const KINDS: &'static [&'static str] = &["invoices"]; }
/// let crontab = Crontab::new("billing")
///     .entry("invoices.daily", "0 3 * * *", Invoices { month: false })
///     .entry_with("invoices.monthly", "@monthly", Invoices { month: true }, |schedule| {
///         schedule.zone = "Europe/Berlin".parse()?;
///         schedule.lane = Lane::Low;
///         Ok(())
///     });
/// # let _ = crontab;
/// ```
#[derive(Debug)]
pub struct Crontab {
    owner: String,
    deploy: Option<String>,
    entries: Result<Vec<Declaration>, Error>,
}

impl Crontab {
    /// Makes a table without entries. Its name is the owner of its schedules: schedules that the
    /// table has declared before, and does not declare now, are disabled.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self { owner: name.into(), deploy: None, entries: Ok(vec![]) }
    }

    /// Sets the name of the deploy that is recorded with the schedules. Default: the environment
    /// variable `POOLDER_DEPLOY`, else the time at which the program was built.
    #[must_use]
    pub fn deploy(mut self, deploy: impl Into<String>) -> Self {
        self.deploy = Some(deploy.into());
        self
    }

    /// Adds a schedule: its name, which is unique in the queue, its timing, and the job that each
    /// tick enqueues.
    #[must_use]
    pub fn entry<J: Job>(
        self,
        name: impl Into<String>,
        timing: impl TryInto<Timing, Error: Into<Error>>,
        job: J,
    ) -> Self {
        self.entry_with(name, timing, job, |_| Ok(()))
    }

    /// Adds a schedule and changes any of its settings.
    #[expect(clippy::needless_pass_by_value, reason = "jobs are passed by value in the whole API")]
    #[must_use]
    pub fn entry_with<J: Job>(
        mut self,
        name: impl Into<String>,
        timing: impl TryInto<Timing, Error: Into<Error>>,
        job: J,
        change: impl FnOnce(&mut Schedule) -> Result<(), Error>,
    ) -> Self {
        let (name, timing) = (name.into(), timing.try_into().map_err(Into::into));
        // Only the first error is kept; the node reports it when it starts.
        if let Ok(entries) = &mut self.entries {
            match declaration(&name, timing, &job, change) {
                Ok(declaration) => entries.push(declaration),
                Err(error) => {
                    let owner = &self.owner;
                    let error = format!("crontab {owner:?}, entry {name:?}: {error}");
                    self.entries = Err(Error::invalid(error));
                }
            }
        }
        self
    }
}

fn declaration<J: Job>(
    name: &str,
    timing: Result<Timing, Error>,
    job: &J,
    change: impl FnOnce(&mut Schedule) -> Result<(), Error>,
) -> Result<Declaration, Error> {
    check_schedule_name(name)?;
    let write = |out: &mut Vec<u8>| job.encode(out);
    let (id, format) = (JobId::from_bytes([0; 16]), Format::MessagePack);
    let policy = job.policy();
    let job = Envelope::build(id, job.kind(), J::VERSION, policy.as_ref(), format, write)?;
    let mut schedule = Schedule::new(timing?, job);
    change(&mut schedule)?;
    schedule.check()?;
    Ok(Declaration::new(QueueName::new(J::QUEUE)?, name, schedule))
}

impl Component for Crontab {
    fn install(self, node: NodeBuilder) -> NodeBuilder {
        let deploy = self.deploy.unwrap_or_else(this_deploy);
        node.declares(declaring(self.owner, deploy, self.entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Serialize, serde::Deserialize)]
    struct Nothing;

    impl Job for Nothing {
        const KINDS: &'static [&'static str] = &["nothing"];
    }

    #[test]
    fn an_illegal_name_is_an_error_of_the_crontab_itself() {
        for name in ["", "a b", &"n".repeat(129)] {
            let error = Crontab::new("c").entry(name, "@daily", Nothing).entries.unwrap_err();
            let expected = format!("crontab \"c\", entry {name:?}: ");
            assert!(error.is_invalid() && error.to_string().contains(&expected), "{error}");
        }
        assert!(Crontab::new("c").entry("a", "@daily", Nothing).entries.is_ok());
    }
}
