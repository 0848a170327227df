//! Mutes of groups of equal errors.

use std::future::IntoFuture;
use std::pin::Pin;
use std::time::Duration;

use poolder_core::Error;
use poolder_core::history::{ErrorGroup, JournalEvent, JournalRecord, Mute};

use crate::admin::words::span;
use crate::client::Client;
use crate::state::audit::Change;

/// The longest mute: a year.
const LONGEST: Duration = Duration::from_secs(366 * 86_400);

/// A mute of a group of equal errors; made by [`Client::mute_errors`]. Awaiting it mutes the group;
/// before that nothing happens.
#[derive(Debug)]
#[must_use = "the group is muted when this is awaited"]
pub struct MuteErrors {
    client: Client,
    group: ErrorGroup,
    time: Duration,
    until_deploy: bool,
    at_most: Option<u64>,
}

impl Client {
    /// Mutes a group of equal errors for a time, of at most a year, in place of an earlier mute. Until
    /// it ends, the [rules of attention](crate::attention) leave the group out: it is no new error of
    /// a deploy, and its failures do not count for the rate of failures. They count everywhere else,
    /// and its jobs are retried and die as before.
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # async fn f(client: poolder_client::Client) -> Result<(), poolder_core::Error> {
    /// let week = Duration::from_secs(7 * 86_400);
    /// for group in client.errors().await? {
    ///     if group.sample.message.starts_with("SMTP 451") {
    ///         client.mute_errors(&group, week).until_deploy().at_most(100).await?;
    ///     }
    /// }
    /// # Ok(()) }
    /// ```
    pub fn mute_errors(&self, group: &ErrorGroup, time: Duration) -> MuteErrors {
        let (client, group) = (self.clone(), group.clone());
        MuteErrors { client, group, time, until_deploy: false, at_most: None }
    }

    /// Ends the mute of a group of equal errors. Returns false when it had none.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command.
    pub async fn unmute_errors(&self, group: &ErrorGroup) -> Result<bool, Error> {
        let unmuted = self.broker().unmute_error(group.id);
        let change = || Change::new("error.unmute", group.id).detail(named(group));
        let unmuted = self.auditor().record(change, |had: &bool| u64::from(*had), unmuted).await?;
        if unmuted {
            self.note_mute(JournalEvent::ErrorUnmuted, group, &group.id.to_string()).await;
        }
        Ok(unmuted)
    }

    async fn note_mute(&self, event: JournalEvent, group: &ErrorGroup, detail: &str) {
        let record = JournalRecord::new(event).partition(&group.sample.queue);
        let record = record.by(self.auditor().actor().name()).detail(detail);
        self.auditor().note(&record).await;
    }
}

impl MuteErrors {
    /// Ends the mute when the first node of another deploy starts, if that is earlier.
    pub fn until_deploy(self) -> Self {
        Self { until_deploy: true, ..self }
    }

    /// Lets the mute have no effect while the error is seen more often than this in an hour.
    pub fn at_most(self, times_an_hour: u64) -> Self {
        Self { at_most: Some(times_an_hour), ..self }
    }
}

impl IntoFuture for MuteErrors {
    /// The mute. Errors: [`Error::is_invalid`] for a time of nothing or of more than a year,
    /// [`Error::is_refused`] when 500 other groups are muted; also an error when the server does not
    /// answer or refuses the command.
    type Output = Result<Mute, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        let Self { client, group, time, until_deploy, at_most } = self;
        Box::pin(async move {
            if time.is_zero() || time > LONGEST {
                return Err(Error::invalid("an error is muted for at most a year"));
            }
            let now = client.time().await?;
            let auditor = client.auditor();
            let mut mute = Mute::new(now, now + time).by(&auditor.actor());
            (mute.until_deploy, mute.at_most) = (until_deploy, at_most);
            let also = mute.to_string();
            let also = if also.is_empty() { also } else { format!(", {also}") };
            let lasts = format!("for {}{also}", span(time));
            let change = || {
                let detail = format_args!("{lasts}: {}", named(&group)).to_string();
                Change::new("error.mute", group.id).detail(detail)
            };
            auditor.record(change, |()| 1, client.broker().mute_error(group.id, &mute)).await?;
            let detail = format!("{} {lasts}", group.id);
            client.note_mute(JournalEvent::ErrorMuted, &group, &detail).await;
            Ok(mute)
        })
    }
}

/// Returns the kind and the message of a group.
fn named(group: &ErrorGroup) -> String {
    format!("{} {}", group.sample.kind, group.sample.message)
}
