//! The broker: everything that Poolder does in Redis. Nothing else in the project speaks Redis.
//!
//! | module | holds |
//! |---|---|
//! | `keys`, `scripts` | the key schema; the Lua scripts, in folders named like these modules |
//! | `connection` | servers, connections, commands, replies; knows no job |
//! | `fleet` | the roster of nodes, the leader of a partition, commands to nodes, hints |
//! | `jobs` | enqueue, claim, settle, completions, progress |
//! | `addressed` | pools whose slots are leased one by one; broadcasts |
//! | `batch` | entries that gather, and the batches they become |
//! | `schedule` | schedules: kept, changed, declared, and published tick by tick |
//! | `maintenance` | what the leader of a partition does: promote, prune, rescue |
//! | `admin` | what an operator calls: find, list, cancel, pause, remove, revive, reschedule |
//!
//! All of it is methods of [`Broker`], one file per verb or noun.

mod addressed;
mod admin;
mod batch;
mod connection;
mod fleet;
mod jobs;
mod keys;
mod maintenance;
mod schedule;
mod scripts;

pub use addressed::broadcast::{BroadcastReader, Copies};
pub use addressed::registry::{CastReply, PoolHeartbeat, PoolView, Report};
pub use addressed::slot_lease::{AcquireReply, PollReply, PollRequest, SlotPoll, SlotWait};
pub use addressed::slot_view::SlotView;
pub use admin::cancel::Cancellation;
pub use admin::queue::NodeView;
pub use admin::server_check::Findings;
pub use batch::{
    BatchOptions, BatchPayload, BatchState, BatcherHome, BatcherSums, BatcherTotals, CHUNK,
    CHUNK_BYTES, Gathering, ListEnd, OpenBatch, Popped, PushCall, PushVerdict, PushedEntries,
    SealedBatch, Token, check_group,
};
pub use connection::broker::Broker;
pub use connection::config::Config;
pub use fleet::commands::Commands;
pub use fleet::hints::{Hint, Listener};
pub use fleet::leader::Leadership;
pub use fleet::roster::{Beat, Beater, Membership, NodeInfo, NodeName};
pub use jobs::claim::{ClaimConnection, Claimed, ConnectionId, Exchange};
pub use jobs::completions::CompletionListener;
pub use jobs::durability::Durability;
pub use jobs::enqueue::{NewJob, Receipt, Stored, When};
pub use jobs::settle::{
    DeadLimits, Depths, Effect, RetryPlacement, Settled, Settlement, SlotLease,
};
pub use maintenance::promote::Promotion;
pub use maintenance::rescue::LaneConsumer;
pub use schedule::{Declaration, Declared, Publication, ScheduleInfo};
