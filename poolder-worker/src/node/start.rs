//! A node from its start to its end: checks, declarations, the run, and the order of its shutdown.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Arc;

use poolder_client::Client;
use poolder_core::Error;
use poolder_core::broker::NodeOrder;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use super::builder::NodeBuilder;
use super::declarations::{Hook, declare, declare_again, pauses};
use super::handle::NodeRequest;
use super::pools::two_pools;
use super::queue_check::misplaced;
use super::running_node::{RunningNode, tick};
use super::running_pool::ShutdownTimes;
#[cfg(feature = "metrics")]
use crate::observe::facade::Facade;
use crate::observe::routes::listen;
use crate::process::deploy::this_deploy;
use crate::process::losses::Losses;
use crate::run::erased::BoxFuture;
use crate::run::panic_place;
use crate::run::pool::{NodeWide, Pool, PoolPlan};

/// The longest name of a deploy, in bytes.
const MAX_DEPLOY: usize = 128;

impl NodeBuilder {
    /// Runs the node as [`NodeBuilder::run_until`] does, and sends `ready` when it may claim jobs.
    pub(crate) async fn run_reporting(
        self,
        stop: impl Future<Output = ()>,
        ready: Option<oneshot::Sender<()>>,
    ) -> Result<(), Error> {
        panic_place::install();
        let plans = plan(self.pools, &self.wide, self.requests.is_some())?;
        for warning in misplaced(&plans) {
            tracing::warn!("{warning}");
        }
        let state = self.state;
        state.belongs_to(deploy_of(self.deploy)?);
        let listener = match &self.listen {
            Some(address) => Some(listen(address, &state, &self.client).await?),
            None => None,
        };
        let ends = state.starts();
        let ticks = AbortOnDropHandle::new(tokio::spawn(tick(Arc::clone(&state.liveness))));
        #[cfg(feature = "metrics")]
        let facade = Facade::start(&state, &self.client);
        tokio::pin!(stop);
        tokio::select! {
            prepared = prepare(&self.client, &self.hooks, &plans) => prepared?,
            () = &mut stop => return Ok(()),
        }
        let (client, hooks): (_, Arc<[Hook]>) = (self.client.clone(), self.hooks.into());
        let losses = Losses::default();
        let mut lost = losses.subscribe();
        let (wide, timeout) = (self.wide, self.shutdown_timeout);
        let kept = (self.limits, self.history);
        let mut running =
            RunningNode::start(self.client, kept, timeout, wide, plans, losses, &state)?;
        if let Some(ready) = ready {
            running.report(ready);
        }
        let mut order = running.order();
        let mut declaring: Option<BoxFuture<'static, ()>> = None;
        let mut requests = self.requests.map(|(_, requests)| requests);
        let next = async |requests: &mut Option<mpsc::Receiver<NodeRequest>>| match requests {
            Some(requests) => requests.recv().await,
            None => std::future::pending().await,
        };
        loop {
            tokio::select! {
                () = &mut stop => break,
                Ok(()) = order.changed() => match *order.borrow_and_update() {
                    Some(NodeOrder::Stop) => {
                        tracing::info!("an operator stops this node: it finishes its running jobs");
                        break;
                    }
                    Some(NodeOrder::Quiet) => {
                        tracing::info!("an operator quiets this node: it takes no more jobs");
                        state.quiets();
                        running.pools.quiet();
                    }
                    Some(NodeOrder::Resume) => {
                        tracing::info!("an operator resumes this node: it takes jobs again");
                        running.pools.resume()?;
                        state.resumes();
                    }
                    _ => {}
                },
                Some(request) = next(&mut requests) => tokio::select! {
                    () = request.carry_out(&mut running.pools) => {}
                    () = &mut stop => break,
                },
                Ok(()) = lost.changed(), if declaring.is_none() => {
                    let (client, hooks) = (client.clone(), Arc::clone(&hooks));
                    let again = declare_again(client, hooks, running.pools.declared());
                    declaring = Some(Box::pin(again));
                }
                () = async {
                    match &mut declaring {
                        Some(declaring) => declaring.await,
                        None => std::future::pending().await,
                    }
                } => declaring = None,
            }
        }
        state.drains();
        running.stop(ShutdownTimes::new(Instant::now(), self.shutdown_timeout)).await;
        #[cfg(feature = "metrics")]
        facade.stop().await;
        drop((ends, ticks));
        if let Some(listener) = listener {
            listener.close().await;
        }
        Ok(())
    }
}

#[cfg(feature = "testing")]
impl NodeBuilder {
    /// Checks the node, declares what its code declares and runs its hooks, as a start of the node
    /// does. Returns the client and the pools.
    pub(crate) async fn prepared(self) -> Result<(Client, Vec<PoolPlan>), Error> {
        panic_place::install();
        let plans = plan(self.pools, &self.wide, false)?;
        declare(&self.client, &self.hooks, &plans).await?;
        Ok((self.client, plans))
    }
}

/// Returns the name of the deploy, or the error of one that is too long.
fn deploy_of(given: Option<String>) -> Result<String, Error> {
    let deploy = given.unwrap_or_else(this_deploy);
    if deploy.len() > MAX_DEPLOY {
        return Err(Error::invalid(format!(
            "the name of the deploy has {} bytes, the most is {MAX_DEPLOY}",
            deploy.len()
        )));
    }
    Ok(deploy)
}

fn plan(pools: Vec<Pool>, wide: &NodeWide, may_be_empty: bool) -> Result<Vec<PoolPlan>, Error> {
    if pools.is_empty() && !may_be_empty {
        return Err(Error::invalid("the node has no pool: add one with .pool(…)"));
    }
    wide.states.check("the node")?;
    let plans = pools.into_iter().map(|pool| pool.plan(wide)).collect::<Result<Vec<_>, _>>()?;
    let mut served = BTreeSet::new();
    for plan in &plans {
        if !served.insert(plan.spec.queue.clone()) {
            return Err(two_pools(&plan.spec.queue));
        }
    }
    Ok(plans)
}

/// Checks the server, declares the pools and runs the hooks. All of this is repeated while the
/// server does not answer.
async fn prepare(client: &Client, hooks: &[Hook], plans: &[PoolPlan]) -> Result<(), Error> {
    let mut waits = pauses();
    loop {
        match check(client, hooks, plans).await {
            Ok(()) => return Ok(()),
            Err(error) if error.is_refused() || error.is_unknown() => {
                let wait = waits.after_failure();
                tracing::warn!(%error, retry_in = ?wait, "waiting for the server");
                tokio::time::sleep(wait).await;
            }
            Err(error) => return Err(error),
        }
    }
}

async fn check(client: &Client, hooks: &[Hook], plans: &[PoolPlan]) -> Result<(), Error> {
    let findings = client.broker().check_server().await?;
    tracing::info!(server = findings.server, "the server has passed its checks");
    for warning in findings.warnings {
        tracing::warn!("{warning}");
    }
    declare(client, hooks, plans).await
}
