//! The command `poolder metrics`: the metrics of the namespace, once or on an address.

use std::sync::Arc;

use clap::Args;
use poolder_client::NamespaceMetrics;
use poolder_client::http::{HttpAnswer, HttpListener};

use crate::args::Common;
use crate::failure::{Exit, Failure};
use crate::output::{Report, remark};

/// The first part of a path that ends with the name of a queue.
const AUTOSCALE: &str = "/autoscale/";
const PATHS: &[&str] = &["/metrics", "/livez", "/readyz", "/autoscale/<queue>"];

#[derive(Debug, Args)]
pub(crate) struct MetricsArgs {
    /// Serve the metrics on this address, such as 0.0.0.0:9637, until the command is stopped; else
    /// write them once. Rates are known only when they are served.
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
}

/// Writes the metrics, or serves them until the process gets a signal.
pub(crate) async fn run(common: &Common, args: &MetricsArgs) -> Result<Report, Failure> {
    let metrics = common.client().await?.metrics();
    let Some(address) = &args.listen else {
        let text = metrics.text().await?;
        return Ok(Report::new(&text).lines(text));
    };
    let metrics = Arc::new(metrics);
    let respond = move |path: String| answer(Arc::clone(&metrics), path);
    let listener = HttpListener::bind(address, respond).await?;
    remark(&format!("serving http://{}/metrics", listener.address()));
    terminated().await?;
    listener.close().await;
    Ok(Report::new("stopped"))
}

async fn answer(metrics: Arc<NamespaceMetrics>, path: String) -> HttpAnswer {
    match path.as_str() {
        "/livez" => HttpAnswer::text(200, "ok"),
        "/metrics" => match metrics.text().await {
            Ok(text) => HttpAnswer::metrics(text),
            Err(error) => {
                remark(&format!("poolder: {error}"));
                HttpAnswer::metrics(metrics.blind_text().await)
            }
        },
        "/readyz" => match metrics.text().await {
            Ok(_) => HttpAnswer::text(200, "ok"),
            Err(error) => HttpAnswer::text(503, error.to_string()),
        },
        path => match path.strip_prefix(AUTOSCALE) {
            Some(queue) => load(&metrics, queue).await,
            None => HttpAnswer::not_found(PATHS),
        },
    }
}

/// Answers with the load of a queue in JSON, for an autoscaler without Prometheus.
async fn load(metrics: &NamespaceMetrics, queue: &str) -> HttpAnswer {
    match metrics.load(queue).await {
        Ok(Some(load)) => match serde_json::to_string(&load) {
            Ok(text) => HttpAnswer::json(text),
            Err(error) => HttpAnswer::text(500, error.to_string()),
        },
        Ok(None) => HttpAnswer::text(404, "there is no queue of this name"),
        Err(error) => HttpAnswer::text(503, error.to_string()),
    }
}

/// Waits for SIGTERM, which the first process of a container would else pass over.
pub(crate) async fn terminated() -> Result<(), Failure> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let cannot = |error| format!("signals cannot be received: {error}");
        let mut signals = signal(SignalKind::terminate())
            .map_err(|error| Failure::new(Exit::Failed, cannot(error)))?;
        signals.recv().await;
    }
    #[cfg(not(unix))]
    std::future::pending::<()>().await;
    Ok(())
}
