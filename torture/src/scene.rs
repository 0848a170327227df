//! Helpers of timed scenes: a server and a client, a time limit, and a row of results.

use std::path::Path;
use std::time::{Duration, Instant};

use poolder::{Client, Config};
use poolder_devserver::Fsync;

use crate::ledger;
use crate::servers::Stand;

/// The time after which a scene fails: longer than any correct operation takes.
const PATIENCE: Duration = Duration::from_secs(90);

/// The server and client of a scene.
pub(crate) struct Stage {
    pub(crate) url: String,
    pub(crate) namespace: String,
    pub(crate) client: Client,
    /// Kept so that the server runs as long as the scene.
    _stand: Stand,
}

impl Stage {
    /// Empties the folder and starts a server. The namespace has the name of the folder.
    pub(crate) async fn set(folder: &Path) -> Result<Self, String> {
        ledger::empty(folder)?;
        let place = folder.to_owned();
        let stand = tokio::task::spawn_blocking(move || Stand::start(Fsync::EverySec, &place));
        let stand = stand.await.map_err(error_text)??;
        let url = stand.url()?;
        let namespace = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let client = Client::new(Config::new(&url).namespace(&namespace)).map_err(error_text)?;
        Ok(Self { url, namespace, client, _stand: stand })
    }
}

/// Repeats `done` until it is true; returns an error after [`PATIENCE`].
pub(crate) async fn until(
    what: &str,
    mut done: impl AsyncFnMut() -> Result<bool, String>,
) -> Result<(), String> {
    let begun = Instant::now();
    while !done().await? {
        if begun.elapsed() > PATIENCE {
            return Err(format!("this did not happen in time: {what}"));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

/// Returns the beginning of a table row about these times, in s, and whether all keep to the
/// target.
pub(crate) fn row(title: &str, times: &mut [f64], target: f64) -> (String, bool) {
    times.sort_by(f64::total_cmp);
    let rounds = times.len();
    let (least, median, most) = (times[0], times[rounds / 2], times[rounds - 1]);
    let text =
        format!("| {title} | {rounds} | {least:.2} | {median:.2} | {most:.2} | {target:.0} |");
    (text, most <= target)
}

/// Returns the text of an error.
pub(crate) fn error_text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
