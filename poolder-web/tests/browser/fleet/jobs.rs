//! The jobs of a shop, and the processes that run them.

use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use poolder::prelude::*;
use poolder::{Config, Result};
use serde::{Deserialize, Serialize};

/// The variable that makes this program a node: its deploy, and the queues that it serves.
pub(crate) const NODE: &str = "POOLDER_BROWSER_NODE";
const URL: &str = "POOLDER_BROWSER_URL";
pub(crate) const NAMESPACE: &str = "shop-production";

/// Defines a kind of job.
macro_rules! jobs {
    ($($name:ident $kind:literal $queue:literal { $($field:ident: $type:ty),* })*) => {$(
        #[derive(Debug, Clone, Serialize, Deserialize, Job)]
        #[job(kind = $kind, queue = $queue)]
        pub(crate) struct $name { $(pub(crate) $field: $type),* }
    )*};
}

jobs! {
    Welcome "email.welcome" "mail" { user: u64, to: String, template: String, locale: String, coupon: Option<String> }
    Receipt "email.receipt" "mail" { user: u64, to: String, order: String }
    Index "search.index" "search-index" { product: u64 }
    Deliver "webhook.deliver" "webhooks" { url: String, event: String }
    Thumbnail "thumb.make" "thumbs" { picture: u64 }
    Invoice "invoice.create" "billing" { account: u64 }
    Transcode "video.transcode" "video" { video: u64, codec: String }
    Export "report.export" "reports" { month: String }
}

/// Returns a welcome to a user.
pub(crate) fn welcome(user: u64) -> Welcome {
    let (to, template) = (format!("user{user}@example.org"), "welcome-v3".into());
    Welcome { user, to, template, locale: "pt-BR".into(), coupon: None }
}

async fn rest(millis: u64) {
    tokio::time::sleep(Duration::from_millis(millis)).await;
}

async fn send_welcome(job: Welcome) -> Result<(), String> {
    rest(40 + job.user % 120).await;
    match job.user % 40 {
        0 => Err(format!("SMTP 451 mailbox {} is temporarily unavailable", job.user)),
        1 => Err("connection to smtp-2 was reset".into()),
        _ => Ok(()),
    }
}

async fn send_receipt(job: Receipt, cx: Context) -> Result<poolder::Return<String>, String> {
    rest(30 + job.user % 50).await;
    match job.user % 100 {
        0 => Err("took longer than the mail server waits".into()),
        _ => Ok(poolder::Return(format!("sent as {}", cx.id()))),
    }
}

async fn index(job: Index) {
    rest(5 + job.product % 20).await;
}

async fn deliver(job: Deliver) -> Result<(), String> {
    rest(60).await;
    if job.event == "order.lost" { Err(format!("{} answered 502", job.url)) } else { Ok(()) }
}

async fn thumbnail(job: Thumbnail) {
    rest(10 + job.picture % 10).await;
}

async fn invoice(_: Invoice) {
    rest(25).await;
}

/// Runs until the node stops, and says how far it is.
async fn export(_: Export, cx: Context) -> Result<(), String> {
    for done in 0.. {
        cx.progress(3 + done.min(5), 12).await.map_err(|error| error.to_string())?;
        rest(60_000).await;
    }
    Ok(())
}

#[derive(Clone)]
struct AuditLog;

impl BatchWorker for AuditLog {
    type Entry = String;

    async fn handle_batch(&mut self, batch: &mut Batch<String>, _: Context) -> Result<Outcome> {
        batch.all().await?;
        Ok(Done)
    }
}

/// A node in a process of its own. It ends with this value, and with this process.
pub(crate) struct NodeProcess(Child);

impl NodeProcess {
    /// Starts a node under the name of a host.
    pub(crate) fn start(url: &str, host: &str, deploy: &str, queues: &str) -> Result<Self, String> {
        let program = std::env::current_exe().map_err(|error| error.to_string())?;
        let mut command = Command::new(program);
        command.env(NODE, format!("{deploy} {queues}")).env(URL, url).env("HOSTNAME", host);
        command.stdin(Stdio::piped());
        command.spawn().map(Self).map_err(|error| error.to_string())
    }
}

impl Drop for NodeProcess {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs as a node until the process that has started it has ended.
pub(crate) async fn node(what: &str) -> Result<()> {
    let (deploy, queues) = what.split_once(' ').ok_or("a deploy and queues")?;
    let url = std::env::var(URL)?;
    let client = Client::new(Config::new(url).namespace(NAMESPACE))?;
    let mut node = Node::builder(client).deploy(deploy);
    for queue in queues.split(',') {
        node = match queue {
            "mail" => {
                let pool = Pool::new("mail").size(16).worker(worker_fn(send_welcome));
                node.pool(pool.worker(worker_fn(send_receipt)))
            }
            "search-index" => node.pool(Pool::new(queue).size(12).worker(worker_fn(index))),
            "webhooks" => node.pool(Pool::new(queue).size(32).worker(worker_fn(deliver))),
            "thumbs" => node.pool(Pool::new(queue).size(16).worker(worker_fn(thumbnail))),
            "billing" => {
                let pool = Pool::new(queue).size(8).mode(Mode::Phash);
                node.pool(pool.worker(worker_fn(invoice)))
            }
            // Its jobs are of a version that no worker knows.
            "video" => node.pool(Pool::new(queue).size(12).worker(worker_fn(thumbnail))),
            "reports" => node.pool(Pool::new(queue).size(2).worker(worker_fn(export))),
            _ => node.add(Batcher::new("audit-log", AuditLog).limit(500).timeout(None)),
        };
    }
    let (ended, end) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let _ = std::io::stdin().read(&mut [0]);
        let _ = ended.send(());
    });
    node.run_until(async {
        let _ = end.await;
    })
    .await
    .map_err(Into::into)
}
