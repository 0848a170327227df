//! The Lua scripts. Each is a `.lua` file in the folder of its feature, and is called by the hash of
//! its text. The text of a script with parts is that of its own file, then that of each part, so
//! that each feature has its part of `settle.lua` in its own folder. Parts that a script needs first
//! stand in front of its own file.
//!
//! The hash depends on the content only, so that two releases can work on one Redis during a
//! rolling deploy.
//!
//! A server that is out of memory refuses a command that may need memory, unless the script has
//! called a writing command before. Therefore the first write of a script is one that needs no
//! memory: a removal, or one that changes nothing, such as `PERSIST` of a key that never expires. Only the
//! scripts that add the data of producers are refused. `tests/suite` calls each script on a full
//! server.

use std::sync::LazyLock;

use redis::{Cmd, Script};

use crate::mutation::script;

macro_rules! scripts {
    ($($folder:ident {
        $($name:ident = $([$($before:literal),*] +)? $file:literal $(+ [$($part:literal),*])?;)*
    })*) => {
        $($(pub(crate) static $name: LazyLock<Script> = LazyLock::new(|| {
            Script::new(script(
                path!($folder, $file),
                text!([$($($before),*)?] $folder, $file $(, $($part),*)?),
            ))
        });)*)*

        /// The name and the text of every script, for loading.
        const SOURCES: &[(&str, &str)] =
            &[$($((
                path!($folder, $file),
                text!([$($($before),*)?] $folder, $file $(, $($part),*)?),
            ),)*)*];
    };
}

macro_rules! path {
    ($folder:ident, $file:literal) => {
        concat!(stringify!($folder), "/", $file)
    };
}

macro_rules! text {
    ([$($before:literal),*] $folder:ident, $file:literal $(, $part:literal)*) => {
        concat!(
            $(include_str!(concat!("scripts/", $before, ".lua")),)*
            include_str!(concat!("scripts/", stringify!($folder), "/", $file, ".lua")),
            $(include_str!(concat!("scripts/", $part, ".lua")),)*
        )
    };
}

scripts! {
    connection {
        WRITE = "write";
    }
    jobs {
        ENQUEUE = "enqueue";
        COMPLETE = "complete" + ["jobs/lane_depths"];
        KEEP_FINISHED = "keep_finished";
        SETTLE = "settle" + [
            "jobs/settle_ops", "addressed/settle", "batch/settle", "schedule/settle",
            "unique/next", "unique/settle", "jobs/settle_each"
        ];
        ACK_MISSING = "ack_missing";
        SUSPECT_BEGIN = "suspect_begin";
        CLAIM = "claim";
        READ = "read";
        VALUE = "value";
        WAIT_BEGIN = "wait_begin" + ["jobs/lane_depths"];
        WAIT_END = "wait_end" + ["jobs/lane_depths"];
    }
    maintenance {
        PROMOTE = ["unique/next"] + "promote";
        PRUNE = "prune";
        DEATHS = "deaths";
        CONSUMER_REMOVE = "consumer_remove";
    }
    addressed {
        SLOT_ACQUIRE = "slot_acquire";
        SLOT_BEGIN = "slot_begin";
        SLOT_RELEASE = "slot_release";
        SLOT_POLL = "slot_poll";
        SLOT_CAST = "slot_cast";
        SLOT_MOVE = "slot_move";
        POOL_DEFINE = "pool_define";
        POOL_RESIZE = "pool_resize";
        POOL_REPORT = "pool_report";
        POOL_JOIN = "pool_join";
        BROADCAST = "broadcast";
    }
    batch {
        PUSH = "push";
        POP = "pop";
        BATCHER_DECLARE = "batcher_declare";
        BATCH_DISCARD = "batch_discard";
        BATCH_READ = "batch_read";
        STASH = "stash";
        TIMER_POSTPONE = "timer_postpone";
    }
    unique {
        ENQUEUE_UNIQUE = ["unique/next"] + "holder" + ["jobs/enqueue"];
        UNIQUE_START = "start";
        UNIQUE_RELEASE = ["unique/next"] + "release";
        UNIQUE_SWEEP = ["unique/next", "unique/holder"] + "sweep";
    }
    schedule {
        SCHEDULES = "schedules";
        SCHEDULE_PUT = "schedule_put";
        SCHEDULE_DROP = "schedule_drop";
        SCHEDULE_HOLDER = "schedule_holder";
        TICK = ["unique/holder", "limits/groups"] + "tick";
    }
    limits {
        ADMIT = ["limits/groups", "limits/timers"] + "claim";
        COMPLETE_LIMITED = ["limits/groups", "limits/taken_groups", "jobs/complete"] + "complete";
        SETTLE_LIMITED = [
            "limits/groups", "jobs/settle", "jobs/settle_ops", "addressed/settle", "batch/settle",
            "schedule/settle", "unique/next", "unique/settle"
        ] + "settle" + ["jobs/settle_each"];
        PUT = ["limits/groups"] + "put";
        SORT = ["limits/groups"] + "sort";
        DEFINE_LIMITS = "define";
        CLOSE_LIMITS = ["limits/groups"] + "close";
        OWN_LIMITS = ["limits/groups"] + "own";
        LOOK_AT_GROUPS = ["limits/groups"] + "look";
        REPAIR_GROUP = ["limits/groups"] + "repair";
        ON_TIME = ["limits/groups", "limits/timers"] + "on_time";
        RUNNING_GROUPS = "running";
    }
    history {
        FLUSH = "flush";
    }
    fleet {
        NODE_BEAT = "node_beat";
        NODE_MARK_DEAD = "node_mark_dead";
        NODE_ORDER = "node_order";
        LEADER_ELECT = "leader_elect";
        LEADER_RESIGN = "leader_resign";
        CHECK_CANCELLED = "check_cancelled";
        CANCEL_EXPIRE = "cancel_expire";
    }
    admin {
        CANCEL = ["unique/next", "limits/groups", "limits/waiting"] + "cancel";
        PAUSE = "pause";
        OVERVIEW = "overview";
        LIST_READY = "list_ready";
        LIST_RUNNING = "list_running";
        LIST_BY_TIME = "list_by_time";
        LIST_GROUPS = "list_groups";
        LIST_GROUP = "list_group";
        SEARCH = "search";
        SEARCH_GROUPS = "search_groups";
        AHEAD = "ahead";
        RESCHEDULE = ["unique/next", "limits/groups", "limits/waiting"] + "reschedule";
        REVIVE = ["unique/holder"] + "revive";
        REMOVE = ["unique/next", "limits/groups", "limits/waiting"] + "remove";
        BURY = ["unique/next", "limits/groups", "limits/waiting"] + "bury";
        IMPORT = ["unique/next", "unique/holder"] + "import";
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
