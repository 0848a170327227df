//! A fleet to look at: a server, nodes in processes of their own, jobs in every state, and an hour of
//! history.

mod jobs;
mod past;
mod seeds;

use std::collections::BTreeMap;
use std::time::Duration;

use poolder::Config;
use poolder_client::Client;
use poolder_devserver::Server;
use tokio::task::JoinHandle;

use crate::site::Site;
use crate::world::text;
use jobs::NodeProcess;
pub(crate) use jobs::{NODE, node};

/// The fleet of a shop. It ends with this value.
pub(crate) struct Fleet {
    site: Site,
    /// The handles of jobs by their state, a node and an error.
    jobs: BTreeMap<&'static str, String>,
    sender: JoinHandle<()>,
    _nodes: Vec<NodeProcess>,
    _server: Server,
}

/// The nodes: host, deploy, queues.
const NODES: [(&str, &str, &str); 4] = [
    ("media-1", "v2.13.9", "video,thumbs"),
    ("mail-1", "v2.14.0", "mail,webhooks"),
    ("mail-2", "v2.14.0", "mail,search-index"),
    ("shop-1", "v2.14.0", "billing,reports,audit-log"),
];

impl Fleet {
    /// Starts the fleet, and returns when jobs are in each state. `pace` lies between the attempts of
    /// a job that fails.
    pub(crate) async fn start(pace: Duration) -> Result<Self, String> {
        let server = Server::start().map_err(text)?;
        let config = Config::new(server.url()).namespace(jobs::NAMESPACE);
        let client = Client::new(config).map_err(text)?;
        past::write(&client, &server).await?;
        let start =
            |(host, deploy, queues)| NodeProcess::start(&server.url(), host, deploy, queues);
        let nodes = NODES.into_iter().map(start).collect::<Result<_, _>>()?;
        let site = Site::start(&client).await?;
        let mut jobs = seeds::sow(&client, pace).await.map_err(text)?;
        let node = client.nodes().await.map_err(text)?.first().map(|node| node.name.clone());
        jobs.insert("node", node.unwrap_or_default().replace(':', "%3A"));
        let error = client.errors().await.map_err(text)?.first().map(|error| error.id.to_string());
        jobs.insert("error", error.unwrap_or_default());
        let sender = tokio::spawn(seeds::send(client.clone()));
        Ok(Self { site, jobs, sender, _nodes: nodes, _server: server })
    }

    /// Returns the address of a page, with `{state}` replaced by the handle of a job in it.
    pub(crate) fn page(&self, path: &str) -> String {
        let mut path = path.to_owned();
        for (state, handle) in &self.jobs {
            path = path.replace(&format!("{{{state}}}"), handle);
        }
        self.site.page(&path)
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        self.sender.abort();
    }
}
