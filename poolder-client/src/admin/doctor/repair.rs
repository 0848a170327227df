//! Repairs that are safe at any time.

use poolder_core::Error;

use crate::admin::finding::{Finding, Repair};
use crate::client::Client;
use crate::state::audit::Change;

impl Client {
    /// Carries out the repair of a finding, and says what was done. A repair takes no job away and
    /// changes none, and looks first whether it is still needed.
    ///
    /// # Errors
    /// [`Error::is_invalid`] for a finding without a repair; also returns an error when the server
    /// does not answer or refuses the command.
    pub async fn repair(&self, finding: &Finding) -> Result<String, Error> {
        let change = || Change::new("doctor.repair", &finding.subject).detail(finding.code);
        self.auditor().record(change, |_| 1, self.repaired(finding)).await
    }

    async fn repaired(&self, finding: &Finding) -> Result<String, Error> {
        let broker = self.broker();
        match &finding.repair {
            None => Err(Error::invalid(format!(
                "there is no repair for {}: {}",
                finding.code, finding.cure
            ))),
            Some(Repair::CreateGroup(partition, lane)) => {
                let made = broker.create_group(partition, *lane).await?;
                let done = if made { "was created" } else { "was there already" };
                Ok(format!("the consumer group of lane {lane} of {partition} {done}"))
            }
            Some(Repair::ForgetConsumer(partition, lane, name)) => {
                let gone = broker.remove_consumer(partition, *lane, name).await?;
                let done = if gone { "was forgotten" } else { "holds jobs, and stays" };
                Ok(format!("consumer {name} of lane {lane} of {partition} {done}"))
            }
            Some(Repair::ExpireCancellations(partition)) => {
                let mut removed = 0;
                loop {
                    match broker.expire_cancellations(partition).await? {
                        0 => {
                            return Ok(format!(
                                "{removed} old cancellations of {partition} were removed"
                            ));
                        }
                        some => removed += some,
                    }
                }
            }
        }
    }
}
