//! The schedules of all queues: finds some of them, and pauses and resumes several.

use std::future::IntoFuture;

use futures_util::{StreamExt, stream};
use poolder_core::broker::ScheduleInfo;
use poolder_core::{Error, Status};

use crate::client::Client;

/// The number of queues that are read, or schedules that are changed, at the same time.
const AT_ONCE: usize = 32;

impl Client {
    /// Returns the schedules of all queues whose name, queue or kind contains a text, in order of
    /// queues and names; all of them for the empty text.
    ///
    /// ```no_run
    /// # async fn f(client: poolder_client::Client) -> Result<(), poolder_core::Error> {
    /// let found = client.find_schedules("report").await?;
    /// let each = found.iter().map(|info| (&info.partition.queue, &info.name));
    /// for paused in client.pause_schedules(each).await {
    ///     let paused = paused?;
    ///     println!("{} is {}", paused.name, paused.status);
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command.
    pub async fn find_schedules(&self, text: impl AsRef<str>) -> Result<Vec<ScheduleInfo>, Error> {
        let (text, queues) = (text.as_ref(), self.queues().await?);
        let lists = queues.iter().map(|queue| {
            let schedules = self.schedules(queue);
            async move { schedules.list().await }
        });
        let lists: Vec<_> = lists.collect();
        let lists: Vec<_> = stream::iter(lists).buffered(AT_ONCE).collect().await;
        let mut found = vec![];
        for list in lists {
            found.extend(list?.into_iter().filter(|info| info.matches(text)));
        }
        Ok(found)
    }

    /// Pauses schedules, each written as its queue and its name, until they are resumed: their
    /// running and waiting jobs continue. Returns one result per schedule, in order: the schedule
    /// after the change.
    pub async fn pause_schedules<Q: AsRef<str>, N: AsRef<str>>(
        &self,
        schedules: impl IntoIterator<Item = (Q, N)>,
    ) -> Vec<Result<ScheduleInfo, Error>> {
        self.set_schedules(schedules, Status::Paused).await
    }

    /// Resumes schedules, each written as its queue and its name: they tick from now on, and ticks of
    /// the time in between are not made up for. Returns one result per schedule, in order: the
    /// schedule after the change.
    pub async fn resume_schedules<Q: AsRef<str>, N: AsRef<str>>(
        &self,
        schedules: impl IntoIterator<Item = (Q, N)>,
    ) -> Vec<Result<ScheduleInfo, Error>> {
        self.set_schedules(schedules, Status::Active).await
    }

    async fn set_schedules<Q: AsRef<str>, N: AsRef<str>>(
        &self,
        schedules: impl IntoIterator<Item = (Q, N)>,
        status: Status,
    ) -> Vec<Result<ScheduleInfo, Error>> {
        let each = schedules
            .into_iter()
            .map(|(queue, name)| self.schedules(queue).set_status(name, status).into_future());
        let each: Vec<_> = each.collect();
        stream::iter(each).buffered(AT_ONCE).collect().await
    }
}
