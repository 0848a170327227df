//! The views of lists of jobs that dashboards show by name.

use poolder_core::Error;
use poolder_core::broker::SavedView;

use crate::client::Client;
use crate::state::audit::Change;

impl Client {
    /// Returns the views of lists of jobs that are saved for all dashboards of the namespace, by
    /// name: at most 100.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command.
    pub async fn saved_views(&self) -> Result<Vec<SavedView>, Error> {
        self.broker().saved_views().await
    }

    /// Saves a view for all dashboards of the namespace. Returns false when it has replaced the one
    /// of its name.
    ///
    /// ```no_run
    /// # use poolder_client::Client;
    /// # use poolder_core::broker::SavedView;
    /// # async fn f(client: Client) -> Result<(), poolder_core::Error> {
    /// client.save_view(&SavedView::new("dead mail", "/queues/mail?state=dead")?).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`Error::is_invalid`] when there are 100 views of other names; also returns an error when
    /// the server does not answer or refuses the command.
    pub async fn save_view(&self, view: &SavedView) -> Result<bool, Error> {
        let saved = self.broker().save_view(view);
        self.auditor().record(|| Change::new("view.save", &view.name), |_| 1, saved).await
    }

    /// Removes a saved view. Returns false when there is none of this name.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command.
    pub async fn remove_view(&self, name: &str) -> Result<bool, Error> {
        let removed = self.broker().remove_view(name);
        let change = || Change::new("view.remove", name);
        self.auditor().record(change, |there| u64::from(*there), removed).await
    }
}
