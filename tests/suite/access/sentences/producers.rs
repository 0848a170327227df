//! The sentences about producers and guests.

use super::Sentence;

pub(super) const SENTENCES: &[Sentence] = &[
    (
        "producer",
        "A producer writes the lanes high, normal and low; the front lane and the suspects belong \
         to workers.",
        &[
            "XADD poolder:{q.0}:ready:high * j x",
            "XADD poolder:{q.0}:ready:normal * j x",
            "XADD poolder:{q.0}:ready:low * j x",
        ],
        &["XADD poolder:{q.0}:ready:front * j x", "XADD poolder:{q.0}:ready:suspect * j x"],
    ),
    (
        "producer",
        "A producer cannot read jobs in their lanes, its own included.",
        &["XADD poolder:{q.0}:ready:normal * j x"],
        &[
            "XRANGE poolder:{q.0}:ready:normal - +",
            "XREVRANGE poolder:{q.0}:ready:normal + -",
            "XREAD STREAMS poolder:{q.0}:ready:normal 0",
            "XINFO STREAM poolder:{q.0}:ready:normal FULL",
            "XREAD STREAMS poolder:{q}:broadcast 0",
            "COPY poolder:{q.0}:ready:normal poolder:{q.0}:batch:fill:a:b",
            "DUMP poolder:{q.0}:ready:normal",
            "SORT poolder:{q.0}:batch:fill:a:b",
        ],
    ),
    (
        "producer",
        "A producer cannot remove or claim a job in a lane by name.",
        &["XADD poolder:{q.0}:ready:normal * j x"],
        &[
            "XDEL poolder:{q.0}:ready:normal 1-1",
            "XTRIM poolder:{q.0}:ready:normal MAXLEN 0",
            "XREADGROUP GROUP workers me STREAMS poolder:{q.0}:ready:normal >",
            "XACK poolder:{q.0}:ready:normal workers 1-1",
            "XCLAIM poolder:{q.0}:ready:normal workers me 0 1-1",
            "XGROUP DESTROY poolder:{q.0}:ready:normal workers",
            "DEL poolder:{q.0}:ready:normal",
            "SET poolder:{q.0}:ready:normal x",
            "PEXPIRE poolder:{q.0}:ready:normal 1",
        ],
    ),
    (
        "producer",
        "A producer stores a delayed job, and cannot read or replace the body of another, or \
         remove it.",
        &["ZADD poolder:{q.0}:due 9 x", "HSETNX poolder:{q.0}:bodies x y"],
        &[
            "HGET poolder:{q.0}:bodies x",
            "HGETALL poolder:{q.0}:bodies",
            "HSET poolder:{q.0}:bodies x z",
            "HDEL poolder:{q.0}:bodies x",
            "ZREM poolder:{q.0}:due x",
            "DEL poolder:{q.0}:due",
            "PEXPIRE poolder:{q.0}:bodies 1",
        ],
    ),
    (
        "producer",
        "A producer asks for the rank and the time of a delayed job whose id it knows, and cannot \
         list the ids.",
        &["ZRANK poolder:{q.0}:due x", "ZSCORE poolder:{q.0}:due x"],
        &[
            "ZRANGE poolder:{q.0}:due 0 -1",
            "ZRANGEBYSCORE poolder:{q.0}:due -inf +inf",
            "ZSCAN poolder:{q.0}:due 0",
            "HKEYS poolder:{q.0}:bodies",
            "ZPOPMIN poolder:{q.0}:due",
        ],
    ),
    (
        "producer",
        "A producer reads a result by the id of its job, and cannot write or list results.",
        &["GET poolder:{q.0}:result:x"],
        &[
            "SET poolder:{q.0}:result:x y",
            "DEL poolder:{q.0}:result:x",
            "PEXPIRE poolder:{q.0}:result:x 1",
            "GETEX poolder:{q.0}:result:x PERSIST",
            "KEYS *",
            "SCAN 0",
        ],
    ),
    (
        "producer",
        "A producer cannot read the dead, or change them.",
        &["PING"],
        &[
            "HGET poolder:{q.0}:dead:bodies x",
            "ZADD poolder:{q.0}:dead 9 x",
            "ZRANK poolder:{q.0}:dead x",
            "HSETNX poolder:{q.0}:dead:bodies x y",
        ],
    ),
    (
        "producer",
        "A producer cannot report or read progress.",
        &["PING"],
        &["SET poolder:{q.0}:progress:x 1", "GET poolder:{q.0}:progress:x"],
    ),
    (
        "producer",
        "A producer reads whether a pool is paused or resized, and cannot pause, stop or resize \
         it.",
        &[
            "HMGET poolder:{q.0}:meta paused generation",
            "ZRANGEBYSCORE poolder:{q.0}:members -inf +inf",
        ],
        &[
            "HSET poolder:{q.0}:meta paused 1",
            "HINCRBY poolder:{q.0}:meta orders 1",
            "HDEL poolder:{q.0}:meta size",
            "ZADD poolder:{q.0}:members 9 x",
            "SADD poolder:{q.0}:drained 0",
            "HSET poolder:{q.0}:stats completed 1",
        ],
    ),
    (
        "producer",
        "A producer cannot cancel a job.",
        &["PUBLISH poolder:{q.0}:control orders"],
        &["ZADD poolder:{q.0}:cancelled 9 x", "ZSCORE poolder:{q.0}:cancelled x"],
    ),
    (
        "producer",
        "A producer adds a queue to the list of queues, and cannot touch the nodes of the roster.",
        &["SADD poolder:{roster}:queues q"],
        &[
            "SREM poolder:{roster}:queues q",
            "SMEMBERS poolder:{roster}:queues",
            "ZADD poolder:{roster}:nodes 9 x",
            "ZADD poolder:{roster}:marks 9 x",
            "HSET poolder:{roster}:about x y",
            "HGET poolder:{roster}:about x",
            "SADD poolder:{roster}:group:a q",
        ],
    ),
    (
        "producer",
        "A producer cannot become or depose a leader.",
        &["PING"],
        &[
            "SET poolder:{q.0}:leader x",
            "DEL poolder:{q.0}:leader",
            "PEXPIRE poolder:{q.0}:leader 1",
            "GET poolder:{q.0}:leader",
        ],
    ),
    (
        "producer",
        "A producer records the generation of a pool in the lease of a slot, and cannot delete the \
         lease.",
        &["HGET poolder:{q.0}:lease gen", "HSET poolder:{q.0}:lease gen 1 edge 0-0"],
        &["DEL poolder:{q.0}:lease", "HDEL poolder:{q.0}:lease gen", "SET poolder:{q.0}:lease x"],
    ),
    (
        "producer",
        "A producer keeps receipts, and only at the keys of receipts.",
        &[
            "SET poolder:{q.0}:sent:x y PX 1000",
            "GET poolder:{q.0}:sent:x",
            "SET poolder:{q.0}:batch:token:a:x 1 PX 1000",
        ],
        &["SET poolder:{q.0}:due x", "SET poolder:{q.0}:meta x", "SET poolder:x y", "SET x y"],
    ),
    (
        "producer",
        "A producer takes and frees the keys of unique jobs, and cannot list them.",
        &[
            "HSET poolder:{q.0}:unique x y",
            "HGET poolder:{q.0}:unique x",
            "HLEN poolder:{q.0}:unique",
            "HDEL poolder:{q.0}:unique x",
        ],
        &[
            "HGETALL poolder:{q.0}:unique",
            "HSCAN poolder:{q.0}:unique 0",
            "DEL poolder:{q.0}:unique",
        ],
    ),
    (
        "producer",
        "A producer puts jobs into the groups of a limited queue, and cannot read those that wait \
         there, take a turn, or give a group limits of its own.",
        &[
            "HSET poolder:{q.0}:limits:jobs x y",
            "HSET poolder:{q.0}:limits:groups x y",
            "RPUSH poolder:{q.0}:limits:turns x",
            "RPUSH poolder:{q.0}:limits:wake x",
            "HMGET poolder:{q.0}:limits:own x",
            "ZADD poolder:{q.0}:limits:timers 1 x",
        ],
        &[
            "HGET poolder:{q.0}:limits:jobs x",
            "HSCAN poolder:{q.0}:limits:jobs 0",
            "LPOP poolder:{q.0}:limits:turns",
            "HSET poolder:{q.0}:limits:own x y",
        ],
    ),
    (
        "producer",
        "A producer pushes entries, and cannot read or remove entries of a batch.",
        &["RPUSH poolder:{q.0}:batch:fill:a:b x", "LPUSH poolder:{q.0}:batch:sealed:x y"],
        &[
            "LRANGE poolder:{q.0}:batch:fill:a:b 0 -1",
            "LINDEX poolder:{q.0}:batch:sealed:x 0",
            "LPOP poolder:{q.0}:batch:fill:a:b",
            "LTRIM poolder:{q.0}:batch:fill:a:b 1 0",
            "DEL poolder:{q.0}:batch:sealed:x",
            "HGET poolder:{q.0}:batch:index x",
            "HDEL poolder:{q.0}:batch:index x",
            "SADD poolder:{q.0}:batch:dropped x",
        ],
    ),
    (
        "producer",
        "A producer renames only lists of entries, to lists of sealed batches.",
        &["RENAMENX poolder:{q.0}:batch:fill:a:b poolder:{q.0}:batch:sealed:z"],
        &[
            "RENAMENX poolder:{q.0}:ready:normal poolder:{q.0}:batch:sealed:z",
            "RENAMENX poolder:{q.0}:batch:fill:a:b poolder:{q.0}:ready:low",
            "RENAME poolder:{q.0}:batch:fill:a:b poolder:{q.0}:batch:sealed:z",
        ],
    ),
    (
        "producer",
        "A producer cannot change schedules.",
        &["PING"],
        &[
            "HSET poolder:{q.0}:schedules x y",
            "ZADD poolder:{q.0}:schedules:next 9 x",
            "HGET poolder:{q.0}:schedules x",
            "HSET poolder:{roster}:schedulers x y",
        ],
    ),
    (
        "producer",
        "A producer publishes hints, and cannot announce results.",
        &["PUBLISH poolder:{q.0}:control due"],
        &["PUBLISH poolder:{q.0}:result:x y", "PUBLISH x y"],
    ),
    (
        "producer",
        "A producer listens to the end of jobs, and not to commands of operators.",
        &["SUBSCRIBE poolder:{q.0}:result:x"],
        &["SUBSCRIBE poolder:{q.0}:control", "PSUBSCRIBE *"],
    ),
    (
        "producer",
        "A producer cannot run a script that is not stored, or anything outside of the namespace.",
        &["TIME"],
        &[
            "EVAL return 0",
            "SCRIPT FLUSH",
            "FUNCTION LIST",
            "FLUSHALL",
            "CONFIG GET *",
            "CLIENT KILL ID 1",
            "ACL WHOAMI",
            "XADD other:{q.0}:ready:normal * j x",
        ],
    ),
    (
        "guest",
        "A guest stores a delayed job, and cannot add to a lane.",
        &["ZADD poolder:{q.0}:due 9 x", "HSETNX poolder:{q.0}:bodies x y"],
        &["XADD poolder:{q.0}:ready:normal * j x", "HGET poolder:{q.0}:bodies x"],
    ),
    (
        "guest",
        "A guest cannot load scripts, and runs those that are loaded.",
        &["EVALSHA ffffffffffffffffffffffffffffffffffffffff 0"],
        &["SCRIPT LOAD x", "EVAL return 0"],
    ),
    (
        "guest",
        "A guest cannot read results.",
        &["PING"],
        &["GET poolder:{q.0}:result:x", "SUBSCRIBE poolder:{q.0}:result:x"],
    ),
];
