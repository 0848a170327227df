//! What timed scenes share: a server and a client of their own, patience, and a row of what was
//! found.

use std::path::Path;
use std::time::{Duration, Instant};

use poolder::{Client, Config};
use poolder_devserver::Fsync;

use crate::ledger;
use crate::servers::Stand;

/// Longer than anything takes.
const PATIENCE: Duration = Duration::from_secs(90);

/// Where a scene is played.
pub(crate) struct Stage {
    pub(crate) url: String,
    pub(crate) namespace: String,
    pub(crate) client: Client,
    /// The server goes with it.
    _stand: Stand,
}

impl Stage {
    /// Starts a server; the folder is emptied, and gives the namespace its name.
    pub(crate) async fn set(folder: &Path) -> Result<Self, String> {
        ledger::empty(folder)?;
        let place = folder.to_owned();
        let stand = tokio::task::spawn_blocking(move || Stand::start(Fsync::EverySec, &place));
        let stand = stand.await.map_err(told)??;
        let url = stand.url()?;
        let namespace = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let client = Client::new(Config::new(&url).namespace(&namespace)).map_err(told)?;
        Ok(Self { url, namespace, client, _stand: stand })
    }
}

/// Waits for it.
pub(crate) async fn until(
    what: &str,
    mut done: impl AsyncFnMut() -> Result<bool, String>,
) -> Result<(), String> {
    let begun = Instant::now();
    while !done().await? {
        if begun.elapsed() > PATIENCE {
            return Err(format!("waited in vain: {what}"));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

/// The beginning of a row about these times, in s, and whether all keep to the target.
pub(crate) fn row(title: &str, times: &mut [f64], target: f64) -> (String, bool) {
    times.sort_by(f64::total_cmp);
    let rounds = times.len();
    let (least, median, most) = (times[0], times[rounds / 2], times[rounds - 1]);
    let text =
        format!("| {title} | {rounds} | {least:.2} | {median:.2} | {most:.2} | {target:.0} |");
    (text, most <= target)
}

/// An error in words.
pub(crate) fn told(error: impl std::fmt::Display) -> String {
    error.to_string()
}
