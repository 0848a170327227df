//! Sends commands to one server, and sends those again whose script the server did not have.
//!
//! The script cache of a server is empty after a restart, after `SCRIPT FLUSH` and on a promoted
//! replica. A call of a missing script is answered with `NOSCRIPT`. This reply belongs to the one
//! command that gets it: the server executed the commands before and after it. So after all
//! scripts were loaded, exactly the commands with this reply are sent again, in their order. A
//! command of another reply is never sent again, since a plain `XADD` would store its job twice.
//!
//! A transaction must not be sent in this way: the replies of its commands are inside of the reply
//! to `EXEC`, and the commands beside a missing script are executed. No transaction of this crate
//! calls a script.

use std::borrow::Cow;

use redis::aio::ConnectionLike;
use redis::{Cmd, Pipeline, RedisError, RedisResult, Value};
use tokio::time::Instant;

use crate::broker::connection::failure::unloaded;
use crate::broker::connection::limit::Limit;
use crate::broker::connection::reply;
use crate::broker::scripts;

/// One reply per command, in the order of the commands.
pub(in crate::broker) type Replies = Vec<RedisResult<Value>>;

/// Commands that go to one server in one pipeline.
#[derive(Clone, Copy)]
pub(in crate::broker) struct Request<'a> {
    commands: &'a Pipeline,
    asking: bool,
    confirmation: Option<&'a Cmd>,
}

impl<'a> Request<'a> {
    pub(in crate::broker) fn new(commands: &'a Pipeline) -> Self {
        debug_assert!(!commands.is_transaction(), "its replies are inside of the reply to EXEC");
        Self { commands, asking: false, confirmation: None }
    }

    /// Sends `ASKING` right before each command if `asking` is true: the slot of the keys is moving
    /// to this server.
    pub(in crate::broker) fn asking(self, asking: bool) -> Self {
        Self { asking, ..self }
    }

    /// Sends `WAIT` or `WAITAOF` after the commands. Its reply is the last one.
    ///
    /// The command is sent again after commands that are sent again. It covers all earlier writes
    /// of its connection, so that its last reply is about all of them.
    pub(in crate::broker) fn confirmed_by(self, confirmation: Option<&'a Cmd>) -> Self {
        Self { confirmation, ..self }
    }

    /// Sends the commands. Each round trip has the time limit of the connection. Returns one reply
    /// per command, and then that of the confirmation.
    ///
    /// # Errors
    /// Returns an error when the outcome of every command is unknown. When only the commands that
    /// were sent again have failed, these have the error as their reply.
    pub(in crate::broker) async fn send(
        self,
        connection: &mut impl ConnectionLike,
    ) -> RedisResult<Replies> {
        let mut rounds = Rounds::new(self);
        while let Some(pipe) = rounds.next() {
            rounds.read(connection.req_packed_commands(&pipe, 0, pipe.len()).await)?;
        }
        Ok(rounds.replies)
    }

    /// Like [`Request::send`], as a step of an operation. To load the scripts is a part of opening a
    /// connection, so that the answers before it count for the limit.
    pub(in crate::broker) async fn send_within(
        self,
        limit: &mut Limit,
        connection: &mut impl ConnectionLike,
    ) -> RedisResult<Replies> {
        let mut rounds = Rounds::new(self);
        let mut next = rounds.next();
        while let Some(pipe) = next {
            let answer = limit.bound(connection.req_packed_commands(&pipe, 0, pipe.len())).await;
            rounds.read(answer)?;
            next = rounds.next();
            if next.is_some() {
                limit.answered(Instant::now());
            }
        }
        Ok(rounds.replies)
    }

    /// Like [`Request::send`], on a connection that blocks its thread.
    pub(in crate::broker) fn send_blocking(
        self,
        connection: &mut impl redis::ConnectionLike,
    ) -> RedisResult<Replies> {
        let mut rounds = Rounds::new(self);
        while let Some(pipe) = rounds.next() {
            let bytes = pipe.get_packed_pipeline();
            rounds.read(connection.req_packed_commands(&bytes, 0, pipe.len()))?;
        }
        Ok(rounds.replies)
    }

    /// Builds the pipeline of these commands.
    fn pipeline<'c>(&self, commands: impl Iterator<Item = &'c Cmd>) -> Pipeline {
        let mut pipe = redis::pipe();
        for cmd in commands {
            if self.asking {
                pipe.cmd("ASKING");
            }
            pipe.add_command(cmd.clone());
        }
        if let Some(confirmation) = self.confirmation {
            pipe.add_command(confirmation.clone());
        }
        pipe
    }

    /// Returns the replies to the commands of a pipeline, without those to `ASKING`.
    fn replies(&self, values: Vec<Value>) -> Replies {
        let commands = values.len() - usize::from(self.confirmation.is_some()).min(values.len());
        let of_asking = |at: usize| self.asking && at < commands && at.is_multiple_of(2);
        let values = values.into_iter().enumerate().filter(|(at, _)| !of_asking(*at));
        values.map(|(_, value)| reply::checked(value)).collect()
    }
}

/// Returns the reply to the only command of a request.
pub(in crate::broker) fn only(replies: RedisResult<Replies>) -> RedisResult<Value> {
    replies?.pop().unwrap_or(Ok(Value::Nil))
}

/// Returns whether the server did not execute the command, since it does not have the script.
pub(in crate::broker) fn is_noscript(error: &RedisError) -> bool {
    error.code() == Some("NOSCRIPT")
}

/// The pipelines of a request: all commands, and if scripts were missing, those that load the
/// scripts, and the commands that were not executed.
struct Rounds<'a> {
    request: Request<'a>,
    step: Step,
    replies: Replies,
    /// The indices of the commands that were not executed.
    missing: Vec<usize>,
}

#[derive(Clone, Copy)]
enum Step {
    Send,
    Load,
    SendAgain,
    Done,
}

impl<'a> Rounds<'a> {
    fn new(request: Request<'a>) -> Self {
        Self { request, step: Step::Send, replies: vec![], missing: vec![] }
    }

    /// Returns the next pipeline, `None` when all replies are there.
    fn next(&self) -> Option<Cow<'a, Pipeline>> {
        let request = self.request;
        match self.step {
            Step::Send if !request.asking && request.confirmation.is_none() => {
                Some(Cow::Borrowed(request.commands))
            }
            Step::Send => Some(Cow::Owned(request.pipeline(request.commands.cmd_iter()))),
            Step::Load => Some(Cow::Owned(scripts::load_all())),
            Step::SendAgain => {
                let all = request.commands.cmd_iter().enumerate();
                let again = all
                    .filter(|(at, _)| self.missing.binary_search(at).is_ok())
                    .map(|(_, cmd)| cmd);
                Some(Cow::Owned(request.pipeline(again)))
            }
            Step::Done => None,
        }
    }

    /// Reads the reply to the pipeline that [`Rounds::next`] returned.
    fn read(&mut self, answer: RedisResult<Vec<Value>>) -> RedisResult<()> {
        self.step = match self.step {
            Step::Send => {
                self.replies = self.request.replies(answer?);
                let is_missing =
                    |reply: &RedisResult<Value>| reply.as_ref().is_err_and(is_noscript);
                let replies = self.replies.iter().enumerate();
                self.missing = replies.filter(|(_, it)| is_missing(it)).map(|(at, _)| at).collect();
                if self.missing.is_empty() { Step::Done } else { Step::Load }
            }
            Step::Load => match answer.and_then(first_error) {
                Ok(()) => Step::SendAgain,
                Err(error) => {
                    self.fail_missing(&unloaded(error));
                    Step::Done
                }
            },
            Step::SendAgain | Step::Done => {
                match answer {
                    Ok(values) => self.replace_missing(values),
                    Err(error) => self.fail_missing(&error),
                }
                Step::Done
            }
        };
        Ok(())
    }

    fn replace_missing(&mut self, values: Vec<Value>) {
        let mut again = self.request.replies(values);
        if self.request.confirmation.is_some()
            && let (Some(first), Some(second)) = (self.replies.last_mut(), again.pop())
        {
            *first = second;
        }
        for (at, reply) in self.missing.iter().zip(again) {
            self.replies[*at] = reply;
        }
    }

    /// Gives this error to the commands that were not executed before. The other replies stay, and
    /// so does the confirmation, which is about the commands that were executed.
    fn fail_missing(&mut self, error: &RedisError) {
        for at in &self.missing {
            self.replies[*at] = Err(error.clone());
        }
    }
}

fn first_error(values: Vec<Value>) -> RedisResult<()> {
    values.into_iter().try_for_each(|value| reply::checked(value).map(|_| ()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MISSING: &str = "-NOSCRIPT No matching script.";

    fn values(replies: &[&str]) -> Vec<Value> {
        let read = |reply: &&str| redis::parse_redis_value(format!("{reply}\r\n").as_bytes());
        replies.iter().map(read).collect::<RedisResult<_>>().unwrap()
    }

    fn commands(names: &str) -> Pipeline {
        let mut pipe = redis::pipe();
        for name in names.split(' ').filter(|name| !name.is_empty()) {
            pipe.cmd(name);
        }
        pipe
    }

    /// Answers the pipelines of a request. Returns the commands of each pipeline but the one that
    /// loads the scripts, and the final replies: numbers, or the codes of errors.
    fn exchange(request: Request<'_>, answers: Vec<RedisResult<Vec<Value>>>) -> [Vec<String>; 2] {
        let mut rounds = Rounds::new(request);
        let (mut sent, mut answers) = (vec![], answers.into_iter());
        while let Some(pipe) = rounds.next() {
            let names = pipe.cmd_iter().map(|cmd| match cmd.args_iter().next() {
                Some(redis::Arg::Simple(name)) => String::from_utf8_lossy(name).into_owned(),
                _ => String::new(),
            });
            let names = names.collect::<Vec<_>>().join(" ");
            if !names.starts_with("SCRIPT") {
                sent.push(names);
            }
            rounds.read(answers.next().expect("no more pipelines")).unwrap();
        }
        assert!(answers.next().is_none(), "every answer was asked for");
        let show = |reply: RedisResult<Value>| match reply {
            Ok(value) => reply::int(value).unwrap().to_string(),
            Err(error) => error.code().unwrap_or("lost").to_owned(),
        };
        [sent, rounds.replies.into_iter().map(show).collect()]
    }

    fn lost() -> RedisError {
        std::io::Error::from(std::io::ErrorKind::BrokenPipe).into()
    }

    fn loaded() -> RedisResult<Vec<Value>> {
        Ok(values(&["+one", "+another"]))
    }

    #[test]
    fn only_the_commands_that_were_not_executed_are_sent_again_in_their_order() {
        let pipe = commands("a b c d e");
        let first = Ok(values(&[":1", MISSING, "-WRONGTYPE no", MISSING, ":5"]));
        let [sent, replies] =
            exchange(Request::new(&pipe), vec![first, loaded(), Ok(values(&[":2", ":4"]))]);
        assert_eq!(sent, ["a b c d e", "b d"]);
        assert_eq!(replies, ["1", "2", "WRONGTYPE", "4", "5"]);
    }

    #[test]
    fn a_pipeline_of_executed_commands_is_sent_once() {
        let pipe = commands("a b");
        let [sent, replies] =
            exchange(Request::new(&pipe), vec![Ok(values(&[":1", "-OOM no memory"]))]);
        assert_eq!((sent, replies), (vec!["a b".into()], vec!["1".into(), "OOM".into()]));
    }

    #[test]
    fn the_confirmation_follows_the_commands_that_are_sent_again() {
        let (pipe, wait) = (commands("a b c"), redis::cmd("WAIT"));
        let request = Request::new(&pipe).confirmed_by(Some(&wait));
        let first = || Ok(values(&[":1", MISSING, MISSING, ":7"]));
        let [sent, replies] =
            exchange(request, vec![first(), loaded(), Ok(values(&[":2", ":3", ":8"]))]);
        assert_eq!(sent, ["a b c WAIT", "b c WAIT"]);
        assert_eq!(replies, ["1", "2", "3", "8"], "the later confirmation is about all");
        let [_, replies] = exchange(request, vec![first(), loaded(), Err(lost())]);
        assert_eq!(replies, ["1", "lost", "lost", "7"], "the earlier one is about the executed");
    }

    #[test]
    fn each_command_to_a_moving_slot_follows_asking() {
        let (pipe, wait) = (commands("a b"), redis::cmd("WAIT"));
        let request = Request::new(&pipe).asking(true).confirmed_by(Some(&wait));
        let first = Ok(values(&["+OK", MISSING, "+OK", ":2", ":7"]));
        let again = Ok(values(&["+OK", ":1", ":8"]));
        let [sent, replies] = exchange(request, vec![first, loaded(), again]);
        assert_eq!(sent, ["ASKING a ASKING b WAIT", "ASKING a WAIT"]);
        assert_eq!(replies, ["1", "2", "8"]);
    }

    #[test]
    fn without_the_scripts_the_commands_count_as_not_executed_and_the_others_keep_their_replies() {
        let pipe = commands("a b");
        for load in [Err(lost()), Ok(values(&["+one", "-NOPERM no SCRIPT for this user"]))] {
            let denied = load.is_ok();
            let mut rounds = Rounds::new(Request::new(&pipe));
            rounds.read(Ok(values(&[":1", MISSING]))).unwrap();
            rounds.read(load).unwrap();
            assert!(rounds.next().is_none(), "nothing is sent again");
            let [first, second] = rounds.replies.try_into().unwrap();
            assert_eq!(first.unwrap(), Value::Int(1));
            let error = crate::broker::connection::failure::classify(second.unwrap_err(), "there");
            assert_eq!((error.is_auth(), error.is_refused()), (denied, !denied), "{error}");
        }
    }

    #[test]
    fn a_script_that_is_missing_again_ends_the_request() {
        let pipe = commands("a");
        let missing = || Ok(values(&[MISSING]));
        let [sent, replies] = exchange(Request::new(&pipe), vec![missing(), loaded(), missing()]);
        assert_eq!((sent.len(), replies), (2, vec!["NOSCRIPT".into()]));
    }
}
