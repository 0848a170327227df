//! Joins calls of `put.lua` that go out together into one: the script stores many jobs for less than
//! one call each costs.

use redis::{Arg, Cmd, RedisResult, Value};

use crate::broker::connection::reply;
use crate::broker::scripts;

/// The most calls that are joined: the script takes so many jobs.
const MAX_JOINED: usize = 250;
/// The arguments of a job: its group and its envelope.
const OWN: usize = 2;

/// Commands of which some are joined, and the places of the replies to each.
#[derive(Default)]
pub(in crate::broker) struct JoinedCalls {
    /// The commands to send.
    pub(in crate::broker) commands: Vec<Cmd>,
    /// For each command that was added, the index of the one to send, and its place in the reply of
    /// a joined one.
    places: Vec<(usize, Option<usize>)>,
    /// The joined call that may take more, and the number of calls in it.
    open: Option<(usize, usize)>,
}

impl JoinedCalls {
    /// Adds a command.
    pub(in crate::broker) fn add(&mut self, cmd: Cmd) {
        if !is_joined(&cmd) {
            self.places.push((self.commands.len(), None));
            self.commands.push(cmd);
            return;
        }
        let fits = self
            .open
            .filter(|(at, calls)| *calls < MAX_JOINED && have_same_keys(&self.commands[*at], &cmd));
        let (at, calls) = match fits {
            Some((at, calls)) => {
                let keys = arguments(&cmd).count() - OWN;
                for argument in arguments(&cmd).skip(keys) {
                    self.commands[at].arg(argument);
                }
                (at, calls)
            }
            None => {
                self.commands.push(cmd);
                (self.commands.len() - 1, 0)
            }
        };
        self.places.push((at, Some(calls)));
        self.open = Some((at, calls + 1));
    }

    /// Returns the reply to each command that was added, from the replies to those that were sent.
    /// The reply to a joined call has one value, as if it had been sent alone.
    pub(in crate::broker) fn split(
        &self,
        replies: Vec<RedisResult<Value>>,
    ) -> Vec<RedisResult<Value>> {
        if self.open.is_none() {
            return replies;
        }
        let mut sent: Vec<Option<RedisResult<Value>>> = replies.into_iter().map(Some).collect();
        let of = |(at, place): &(usize, Option<usize>)| match (place, sent.get_mut(*at)) {
            (None, Some(reply)) => reply.take().unwrap_or(Ok(Value::Nil)),
            (Some(place), Some(Some(Ok(Value::Array(values))))) => {
                let own = values.get_mut(*place).map(std::mem::take).unwrap_or_default();
                reply::checked(own).map(|own| Value::Array(vec![own]))
            }
            (Some(_), Some(Some(reply))) => reply.clone(),
            _ => Ok(Value::Nil),
        };
        self.places.iter().map(of).collect()
    }
}

/// Returns true for a call of `put.lua`.
fn is_joined(cmd: &Cmd) -> bool {
    arguments(cmd).nth(1).is_some_and(|hash| hash == scripts::PUT.get_hash().as_bytes())
}

/// Returns true when a call has the keys of another one, which may be a joined one.
fn have_same_keys(joined: &Cmd, cmd: &Cmd) -> bool {
    let keys = arguments(cmd).count().saturating_sub(OWN);
    arguments(joined).take(keys).eq(arguments(cmd).take(keys))
}

fn arguments(cmd: &Cmd) -> impl Iterator<Item = &[u8]> {
    cmd.args_iter().map(|argument| match argument {
        Arg::Simple(bytes) => bytes,
        _ => &[],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(lane: &str, group: &str) -> Cmd {
        let mut cmd = scripts::call(&scripts::PUT, [lane, "limits"]);
        cmd.arg(group).arg("job");
        cmd
    }

    #[test]
    fn calls_on_the_same_keys_are_joined_and_each_gets_its_part_of_the_reply() {
        let mut joined = JoinedCalls::default();
        joined.add(put("a", "1"));
        joined.add(redis::cmd("PING"));
        joined.add(put("a", "2"));
        joined.add(put("b", "3"));
        assert_eq!(joined.commands.len(), 3);
        let sent: Vec<&[u8]> = arguments(&joined.commands[0]).skip(5).collect();
        assert_eq!(sent, [b"1".as_slice(), b"job", b"2", b"job"]);
        let int = |numbers: &[i64]| {
            Ok(Value::Array(numbers.iter().map(|number| Value::Int(*number)).collect()))
        };
        let replies = joined.split(vec![int(&[7, 8]), Ok(Value::Okay), int(&[9])]);
        assert_eq!(replies, [int(&[7]), Ok(Value::Okay), int(&[8]), int(&[9])]);
    }

    #[test]
    fn an_error_is_that_of_all_joined_calls_and_a_call_takes_so_many_jobs() {
        let mut joined = JoinedCalls::default();
        (0..=MAX_JOINED).for_each(|_| joined.add(put("a", "1")));
        assert_eq!(joined.commands.len(), 2);
        let failed = || redis::RedisError::from(std::io::Error::other("lost"));
        let replies = joined.split(vec![Err(failed()), Ok(Value::Array(vec![Value::Int(1)]))]);
        assert_eq!(replies.iter().filter(|reply| reply.is_err()).count(), MAX_JOINED);
        assert_eq!(replies[MAX_JOINED], Ok(Value::Array(vec![Value::Int(1)])));
    }
}
