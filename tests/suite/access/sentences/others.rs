//! The sentences about workers, operators, readers, dashboards and exporters.

use super::Sentence;

pub(super) const SENTENCES: &[Sentence] = &[
    (
        "worker",
        "A worker has the keys of its namespace only.",
        &["XREADGROUP GROUP workers me STREAMS poolder:{q.0}:ready:normal >"],
        &["XADD other:{q.0}:ready:normal * j x", "GET other", "PUBLISH other x"],
    ),
    (
        "worker",
        "A worker cannot administer the server.",
        &["INFO"],
        &["CONFIG GET *", "ACL WHOAMI", "SHUTDOWN", "EVAL return 0"],
    ),
    (
        "worker",
        "A worker cannot delete all keys, or list those of others.",
        &["DEL poolder:{q.0}:ready:normal"],
        &["FLUSHALL", "FLUSHDB", "KEYS *", "SCAN 0", "SCRIPT FLUSH"],
    ),
    (
        "operator",
        "An operator pauses a queue and cancels a job, and cannot claim or acknowledge one.",
        &["HSET poolder:{q.0}:meta paused 1", "ZADD poolder:{q.0}:cancelled 9 x"],
        &[
            "XREADGROUP GROUP workers me STREAMS poolder:{q.0}:ready:normal >",
            "XCLAIM poolder:{q.0}:ready:normal workers me 0 1-1",
            "XACK poolder:{q.0}:ready:normal workers 1-1",
        ],
    ),
    (
        "operator",
        "An operator removes a job from a lane, and cannot delete the lane.",
        &["XDEL poolder:{q.0}:ready:normal 1-1"],
        &[
            "DEL poolder:{q.0}:ready:normal",
            "XGROUP DESTROY poolder:{q.0}:ready:normal workers",
            "SET poolder:{q.0}:ready:normal x",
        ],
    ),
    (
        "operator",
        "An operator gives orders to nodes and declares a silent one dead, and cannot enter one.",
        &[
            "HSET poolder:{roster}:orders x stop",
            "ZREM poolder:{roster}:nodes x",
            "ZADD poolder:{roster}:marks 9 x",
        ],
        &["ZADD poolder:{roster}:nodes 9 x", "HSET poolder:{roster}:about x y"],
    ),
    (
        "operator",
        "An operator cannot become a leader.",
        &["GET poolder:{q.0}:leader"],
        &["SET poolder:{q.0}:leader x", "DEL poolder:{q.0}:leader"],
    ),
    (
        "operator",
        "An operator adds to the audit and to the journal, and cannot delete their entries.",
        &["XADD poolder:{roster}:audit * e x", "XADD poolder:{roster}:journal * e x"],
        &["XDEL poolder:{roster}:audit 1-1", "DEL poolder:{roster}:journal"],
    ),
    (
        "operator",
        "An operator saves and removes views of lists of jobs, and cannot delete them all at once.",
        &["HSET poolder:{roster}:views x y", "HDEL poolder:{roster}:views x"],
        &["DEL poolder:{roster}:views", "SET poolder:{roster}:views x"],
    ),
    (
        "operator",
        "An operator reads payloads, and writes to no other namespace.",
        &["XRANGE poolder:{q.0}:ready:normal - +", "HGET poolder:{q.0}:dead:bodies x"],
        &["XADD other:{q.0}:ready:normal * j x", "HGET other:{q.0}:bodies x"],
    ),
    (
        "reader",
        "A reader reads payloads, results and the dead, and writes nothing.",
        &[
            "XRANGE poolder:{q.0}:ready:normal - +",
            "GET poolder:{q.0}:result:x",
            "HGET poolder:{q.0}:dead:bodies x",
        ],
        &[
            "XADD poolder:{q.0}:ready:normal * j x",
            "SET poolder:{roster}:dashboard x",
            "HSET poolder:{q.0}:meta paused 1",
            "PUBLISH poolder:{q.0}:control x",
            "DEL poolder:{q.0}:meta",
        ],
    ),
    (
        "reader",
        "A reader runs the scripts that read, and cannot cancel by a script.",
        &["EVALSHA ffffffffffffffffffffffffffffffffffffffff 1 poolder:{q.0}:meta"],
        &["ZADD poolder:{q.0}:cancelled 9 x", "EVAL return 0"],
    ),
    (
        "dashboard",
        "A dashboard writes its own key and the saved views, and no other.",
        &[
            "SET poolder:{roster}:dashboard x",
            "HSET poolder:{roster}:dashboard x y",
            "HDEL poolder:{roster}:views x",
            "XLEN poolder:{q.0}:ready:normal",
        ],
        &[
            "SET poolder:{roster}:dashboards x",
            "DEL poolder:{roster}:views",
            "SET poolder:{q.0}:leader x",
        ],
    ),
    (
        "dashboard",
        "A dashboard asks for a fresh history, and cannot write the history.",
        &["SET poolder:{roster}:watched 1 EX 15", "HGETALL poolder:{roster}:history:m:1"],
        &["HSET poolder:{roster}:history:m:1 x y", "DEL poolder:{roster}:watched"],
    ),
    (
        "exporter",
        "An exporter reads counts, and no payload.",
        &["XLEN poolder:{q.0}:ready:normal", "HGETALL poolder:{q.0}:stats"],
        &[
            "XRANGE poolder:{q.0}:ready:normal - +",
            "XINFO STREAM poolder:{q.0}:ready:normal",
            "HGET poolder:{q.0}:bodies x",
            "HGET poolder:{q.0}:dead:bodies x",
            "LRANGE poolder:{q.0}:batch:fill:a:b 0 -1",
        ],
    ),
    (
        "exporter",
        "An exporter sees the ids of delayed and dead jobs, and cannot read their results.",
        &["ZRANGE poolder:{q.0}:due 0 -1", "ZRANGE poolder:{q.0}:dead 0 -1"],
        &["GET poolder:{q.0}:result:x", "GET poolder:{q.0}:sent:x"],
    ),
    (
        "exporter",
        "An exporter writes nothing.",
        &["TIME"],
        &[
            "SET poolder:{q.0}:leader x",
            "ZADD poolder:{q.0}:due 9 x",
            "HSET poolder:{q.0}:stats x 1",
            "PUBLISH poolder:{q.0}:control x",
        ],
    ),
];
