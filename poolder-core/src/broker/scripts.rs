//! The Lua scripts. Each is a `.lua` file in the folder of its feature, and is called by the hash of
//! its text. The text of a script with parts is that of its own file, then that of each part, so
//! that each feature has its part of `settle.lua` in its own folder.
//!
//! The hash depends on the content only, so that two releases can work on one Redis during a
//! rolling deploy.
//!
//! A server that is out of memory refuses a command that may need memory, unless the script has
//! called a writing command before. A script marked `when_full` therefore begins with a command that
//! writes nothing, and so works on a full server, as do the scripts whose first write needs no
//! memory. Only the scripts that add the data of producers are refused there. `tests/suite` calls
//! every script on a full server.

use std::sync::LazyLock;

use redis::{Cmd, Script};

use crate::mutation::script;

macro_rules! scripts {
    ($($folder:ident {
        $($name:ident = $file:literal $(+ [$($part:literal),*])? $(, $mark:ident)?;)*
    })*) => {
        $($(pub(crate) static $name: LazyLock<Script> = LazyLock::new(|| {
            let text = text!([$($mark)?] $folder, $file $(, $($part),*)?);
            Script::new(script(path!($folder, $file), text))
        });)*)*

        /// The name and the text of every script, for loading.
        const SOURCES: &[(&str, &str)] = &[$($(
            (path!($folder, $file), text!([$($mark)?] $folder, $file $(, $($part),*)?)),
        )*)*];
    };
}

macro_rules! path {
    ($folder:ident, $file:literal) => {
        concat!(stringify!($folder), "/", $file)
    };
}

macro_rules! text {
    ([when_full] $folder:ident, $file:literal $(, $part:literal)*) => {
        // `PERSIST` takes a key of any type, and no first key of such a script ever expires, but
        // that of a list to which `stash.lua` gives a new time to live.
        concat!("redis.call('PERSIST', KEYS[1]) ", text!([] $folder, $file $(, $part)*))
    };
    ([] $folder:ident, $file:literal $(, $part:literal)*) => {
        concat!(
            include_str!(concat!("scripts/", stringify!($folder), "/", $file, ".lua")),
            $(include_str!(concat!("scripts/", $part, ".lua")),)*
        )
    };
}

scripts! {
    connection {
        WRITE = "write", when_full;
    }
    jobs {
        ENQUEUE = "enqueue";
        COMPLETE = "complete";
        SETTLE = "settle" + [
            "jobs/settle_ops", "addressed/settle", "batch/settle", "schedule/settle",
            "jobs/settle_each"
        ], when_full;
        ACK_MISSING = "ack_missing";
        SUSPECT_BEGIN = "suspect_begin", when_full;
        CLAIM = "claim";
        READ = "read";
        VALUE = "value";
    }
    maintenance {
        PROMOTE = "promote", when_full;
        PRUNE = "prune";
        CONSUMER_REMOVE = "consumer_remove";
    }
    addressed {
        SLOT_ACQUIRE = "slot_acquire", when_full;
        SLOT_BEGIN = "slot_begin", when_full;
        SLOT_RELEASE = "slot_release", when_full;
        SLOT_POLL = "slot_poll";
        SLOT_CAST = "slot_cast";
        SLOT_MOVE = "slot_move", when_full;
        POOL_DEFINE = "pool_define", when_full;
        POOL_RESIZE = "pool_resize", when_full;
        POOL_REPORT = "pool_report", when_full;
        POOL_JOIN = "pool_join";
        BROADCAST = "broadcast";
    }
    batch {
        PUSH = "push";
        POP = "pop", when_full;
        BATCHER_DECLARE = "batcher_declare", when_full;
        BATCH_DISCARD = "batch_discard";
        BATCH_READ = "batch_read";
        STASH = "stash", when_full;
        TIMER_POSTPONE = "timer_postpone", when_full;
    }
    schedule {
        SCHEDULES = "schedules";
        SCHEDULE_PUT = "schedule_put";
        SCHEDULE_DROP = "schedule_drop";
        SCHEDULE_HOLDER = "schedule_holder", when_full;
        TICK = "tick", when_full;
    }
    fleet {
        NODE_BEAT = "node_beat", when_full;
        NODE_MARK_DEAD = "node_mark_dead", when_full;
        LEADER_ELECT = "leader_elect";
        LEADER_RESIGN = "leader_resign";
        CHECK_CANCELLED = "check_cancelled";
        CANCEL_EXPIRE = "cancel_expire";
    }
    admin {
        CANCEL = "cancel", when_full;
        PAUSE = "pause", when_full;
        OVERVIEW = "overview";
        LIST_READY = "list_ready";
        LIST_RUNNING = "list_running";
        LIST_BY_TIME = "list_by_time";
        SEARCH = "search";
        RESCHEDULE = "reschedule", when_full;
        REVIVE = "revive", when_full;
        REMOVE = "remove";
    }
}

/// Returns the name and the text of every script. Tests run the texts with errors in them.
#[doc(hidden)]
#[must_use]
pub const fn script_texts() -> &'static [(&'static str, &'static str)] {
    SOURCES
}

/// Returns the commands that load every script. Calls of a script that the server does not have are
/// sent again by [`request`](super::connection::request).
pub(crate) fn load_all() -> redis::Pipeline {
    let mut pipe = redis::pipe();
    for (file, text) in SOURCES {
        pipe.cmd("SCRIPT").arg("LOAD").arg(script(file, text));
    }
    pipe
}

/// Builds the `EVALSHA` of a script on these keys. The caller appends the arguments.
pub(crate) fn call<'a>(script: &Script, keys: impl IntoIterator<Item = &'a str>) -> Cmd {
    let mut cmd = Cmd::new();
    cmd.arg("EVALSHA").arg(script.get_hash());
    let keys: Vec<&str> = keys.into_iter().collect();
    cmd.arg(keys.len()).arg(keys);
    cmd
}

/// Builds the call of a single command that writes a key, for a command that a full server would
/// refuse outside of a script. The caller appends the arguments that follow the key.
pub(crate) fn write(command: &str, key: &str) -> Cmd {
    let mut cmd = call(&WRITE, [key]);
    cmd.arg(command);
    cmd
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mutation::SCRIPT_GUARDS;

    #[test]
    fn every_guard_that_can_be_left_out_is_still_there_and_once() {
        for (name, script, guard, _) in SCRIPT_GUARDS {
            let (_, text) = SOURCES.iter().find(|(path, _)| path == script).unwrap();
            assert_eq!(text.matches(guard).count(), 1, "{name}: {script}.lua, {guard:?}");
        }
    }
}
