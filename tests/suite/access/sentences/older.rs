//! The sentences about the users of Redis 6.2.

use super::Sentence;

pub(super) const SENTENCES: &[Sentence] = &[
    (
        "producer-6.2",
        "A producer of 6.2 adds to a lane, and cannot read it or delete it.",
        &["XADD poolder:{q.0}:ready:normal * j x"],
        &[
            "XRANGE poolder:{q.0}:ready:normal - +",
            "XREAD STREAMS poolder:{q.0}:ready:normal 0",
            "DEL poolder:{q.0}:ready:normal",
            "XDEL poolder:{q.0}:ready:normal 1-1",
            "XADD poolder:{q.0}:ready:front * j x",
        ],
    ),
    (
        "producer-6.2",
        "A producer of 6.2 stores a delayed job, and cannot read, replace or remove the body of \
         another.",
        &["ZADD poolder:{q.0}:due 9 x", "HSETNX poolder:{q.0}:bodies x y"],
        &[
            "HGET poolder:{q.0}:bodies x",
            "HSET poolder:{q.0}:bodies x y",
            "HDEL poolder:{q.0}:bodies x",
            "ZRANGE poolder:{q.0}:due 0 -1",
        ],
    ),
    (
        "producer-6.2",
        "A producer of 6.2 reads a result by the id of its job, and cannot set one.",
        &["GET poolder:{q.0}:result:x"],
        &["SET poolder:{q.0}:result:x y", "DEL poolder:{q.0}:result:x", "KEYS *"],
    ),
    (
        "producer-6.2",
        "A producer of 6.2 cannot pause, cancel, lead, mark nodes as dead or read the dead.",
        &["PING"],
        &[
            "HSETNX poolder:{q.0}:meta paused 1",
            "ZADD poolder:{q.0}:cancelled 9 x",
            "XADD poolder:{q.0}:leader * j x",
            "GET poolder:{q.0}:leader",
            "ZADD poolder:{roster}:marks 9 x",
            "HSETNX poolder:{q.0}:dead:bodies x y",
            "HGET poolder:{q.0}:dead:bodies x",
        ],
    ),
    (
        "guest-6.2",
        "A guest of 6.2 stores a delayed job, and cannot enqueue without delay, read results or \
         load scripts.",
        &["ZADD poolder:{q.0}:due 9 x", "HSETNX poolder:{q.0}:bodies x y"],
        &[
            "XADD poolder:{q.0}:ready:normal * j x",
            "GET poolder:{q.0}:result:x",
            "SCRIPT LOAD x",
            "EVAL return 0",
        ],
    ),
    (
        "sender-6.2",
        "A sender of 6.2 casts, pushes, keeps receipts and uses names, and cannot cancel, lead or \
         mark nodes as dead.",
        &[
            "HSET poolder:{q.0}:lease gen 1",
            "RPUSH poolder:{q.0}:batch:fill:a:b x",
            "SET poolder:{q.0}:sent:x y PX 1000",
        ],
        &[
            "ZADD poolder:{q.0}:cancelled 9 x",
            "SET poolder:{q.0}:leader x",
            "ZADD poolder:{roster}:marks 9 x",
            "XREADGROUP GROUP workers me STREAMS poolder:{q.0}:ready:normal >",
        ],
    ),
    (
        "reader-6.2",
        "A reader of 6.2 reads everything, and writes nothing.",
        &["XRANGE poolder:{q.0}:ready:normal - +", "HGET poolder:{q.0}:dead:bodies x"],
        &["XADD poolder:{q.0}:ready:normal * j x", "HSET poolder:{q.0}:meta paused 1"],
    ),
];
