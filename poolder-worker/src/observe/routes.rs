//! The answers of the node's own listener.

use std::sync::Arc;

use poolder_client::Client;
use poolder_client::http::{HttpAnswer, HttpListener};
use poolder_core::Error;

use super::node_state::NodeState;

const PATHS: &[&str] = &["/livez", "/readyz", "/statusz", "/metrics"];

/// Starts the listener of a node.
pub(crate) async fn listen(
    address: &str,
    node: &Arc<NodeState>,
    client: &Client,
) -> Result<HttpListener, Error> {
    let (shown, client) = (Arc::clone(node), client.clone());
    client.count_process();
    let respond = move |path: String| {
        let answer = match path.as_str() {
            "/metrics" => HttpAnswer::metrics(shown.metrics_text() + &client.process_metrics()),
            path => answer(path, &shown),
        };
        async { answer }
    };
    let listener = HttpListener::bind(address, respond).await?;
    node.listens(listener.address());
    tracing::info!(address = %listener.address(), paths = ?PATHS, "the node listens");
    Ok(listener)
}

fn answer(path: &str, node: &NodeState) -> HttpAnswer {
    let verdict = |fine: bool, reason: Option<String>| match fine {
        true => HttpAnswer::text(200, "ok"),
        false => HttpAnswer::text(503, reason.unwrap_or_default()),
    };
    match path {
        "/livez" => {
            let health = node.health();
            verdict(health.live, health.reason)
        }
        "/readyz" => {
            let health = node.health();
            verdict(health.ready, health.reason)
        }
        "/statusz" => match serde_json::to_string_pretty(&node.status()) {
            Ok(text) => HttpAnswer::json(text),
            Err(error) => HttpAnswer::text(500, error.to_string()),
        },
        _ => HttpAnswer::not_found(PATHS),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_that_has_not_started_is_live_and_not_ready() {
        let node = NodeState::default();
        assert_eq!(answer("/livez", &node), HttpAnswer::text(200, "ok"));
        let reason = "the node has not been started";
        assert_eq!(answer("/readyz", &node), HttpAnswer::text(503, reason));
        assert_eq!(answer("/", &node), HttpAnswer::not_found(PATHS));
        assert_eq!(answer("/livez/", &node), HttpAnswer::not_found(PATHS));
    }

    #[test]
    fn a_node_that_has_ended_is_not_live() {
        let node = Arc::new(NodeState::default());
        drop(node.starts());
        assert_eq!(answer("/livez", &node), HttpAnswer::text(503, "the node has ended"));
        assert_eq!(answer("/readyz", &node), HttpAnswer::text(503, "the node has ended"));
    }
}
