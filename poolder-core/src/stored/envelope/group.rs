//! The group and the cost of a job on a limited queue.

use crate::job::{Error, MAX_COST, check_group_name};
use crate::stored::envelope::Envelope;

impl Envelope {
    /// Puts the job into a group of its queue: the limits of the queue hold for each group, and the
    /// groups start jobs in turn. The empty name is the group of jobs without one.
    ///
    /// # Errors
    /// [`Error::is_invalid`] for a name above 128 bytes or with control characters, and when the
    /// options of the job then take more than 4,096 bytes.
    pub fn in_group(self, group: &str) -> Result<Self, Error> {
        check_group_name(group).map_err(|error| error.with_job(self.id))?;
        let mut options = self.options.as_deref().cloned().unwrap_or_default();
        options.group = Some(group).filter(|group| !group.is_empty()).map(Into::into);
        self.rebuilt(options, self.is_json(), &self.raw[self.payload..])
    }

    /// Sets how many units of the rates of its queue and its group the job takes when it starts: 1 to
    /// 1,000,000,000. Without it a job takes 1.
    ///
    /// # Errors
    /// [`Error::is_invalid`] for another cost, and when the options of the job then take more than
    /// 4,096 bytes.
    pub fn costing(self, cost: u32) -> Result<Self, Error> {
        if !(1..=MAX_COST).contains(&cost) {
            return Err(Error::invalid(format!(
                "the cost of a job is {cost}, not between 1 and {MAX_COST}"
            ))
            .with_job(self.id));
        }
        let mut options = self.options.as_deref().cloned().unwrap_or_default();
        options.cost = Some(cost).filter(|cost| *cost > 1);
        self.rebuilt(options, self.is_json(), &self.raw[self.payload..])
    }

    /// Returns how many units of the rates of its queue and its group the job takes.
    #[must_use]
    pub fn cost(&self) -> u32 {
        self.options.as_ref().and_then(|options| options.cost).unwrap_or(1).max(1)
    }

    /// Returns the group that the job was given; `None` for a job without one.
    #[must_use]
    pub fn group(&self) -> Option<&str> {
        self.options.as_ref()?.group.as_deref()
    }
}
