//! The group of a job on a limited queue.

use crate::job::{Error, check_group_name};
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

    /// Returns the group that the job was given; `None` for a job without one.
    #[must_use]
    pub fn group(&self) -> Option<&str> {
        self.options.as_ref()?.group.as_deref()
    }
}
