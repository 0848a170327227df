//! The server that counts what runs. No fault hits it.

use redis::aio::MultiplexedConnection;
use redis::{RedisResult, Script};
use tokio::sync::OnceCell;

/// Enters a job among those that run, unless a later run of it has entered. Returns how many of its
/// group and of the queue run then.
const ENTER: &str = "\
local last = tonumber(redis.call('HGET', 'fences', ARGV[2]) or 0)
if tonumber(ARGV[3]) < last then return {0, 0} end
redis.call('HSET', 'fences', ARGV[2], ARGV[3])
redis.call('SADD', 'group:' .. ARGV[1], ARGV[2])
redis.call('SADD', 'queue', ARGV[2])
local counts = {redis.call('SCARD', 'group:' .. ARGV[1]), redis.call('SCARD', 'queue')}
for i, name in ipairs({'group', 'queue'}) do
  local most = tonumber(redis.call('HGET', 'most', name) or 0)
  if counts[i] > most then redis.call('HSET', 'most', name, counts[i]) end
end
return counts";

/// Takes a job out, if no later run of it has entered.
const LEAVE: &str = "\
if redis.call('HGET', 'fences', ARGV[2]) ~= ARGV[3] then return 0 end
redis.call('SREM', 'group:' .. ARGV[1], ARGV[2])
return redis.call('SREM', 'queue', ARGV[2])";

/// A connection to the server, which is opened when it is needed.
pub(crate) struct Counter {
    url: String,
    connection: OnceCell<MultiplexedConnection>,
    enter: Script,
    leave: Script,
}

impl Counter {
    pub(crate) fn new(url: &str) -> Self {
        let (enter, leave) = (Script::new(ENTER), Script::new(LEAVE));
        Self { url: url.to_owned(), connection: OnceCell::new(), enter, leave }
    }

    async fn connection(&self) -> RedisResult<MultiplexedConnection> {
        let open = || async {
            redis::Client::open(self.url.as_str())?.get_multiplexed_async_connection().await
        };
        self.connection.get_or_try_init(open).await.cloned()
    }

    /// Enters a run, and returns how many of the group and of the queue run then.
    pub(super) async fn enter(
        &self,
        group: &str,
        job: &str,
        fence: u64,
    ) -> RedisResult<(u64, u64)> {
        let mut connection = self.connection().await?;
        self.enter.arg(group).arg(job).arg(fence).invoke_async(&mut connection).await
    }

    /// Takes a run out.
    pub(super) async fn leave(&self, group: &str, job: &str, fence: u64) -> RedisResult<()> {
        let mut connection = self.connection().await?;
        self.leave.arg(group).arg(job).arg(fence).invoke_async(&mut connection).await
    }

    /// Returns the most jobs of a group and of the queue that ever ran.
    pub(crate) async fn most(&self) -> RedisResult<(u64, u64)> {
        let mut connection = self.connection().await?;
        let mut ask = redis::cmd("HMGET");
        ask.arg("most").arg("group").arg("queue");
        let (group, queue): (Option<u64>, Option<u64>) = ask.query_async(&mut connection).await?;
        Ok((group.unwrap_or(0), queue.unwrap_or(0)))
    }
}
