//! The broker: the data model of Poolder in Redis, and every command that reads or changes it. The
//! other modules reach Redis only through the broker. Applications use a client, which adds checks,
//! waiting and the audit; a [`Broker`] is the part of it that sends the commands.
//!
//! | module | contents |
//! |---|---|
//! | `keys`, `scripts` | the key schema; the Lua scripts, in folders named after these modules |
//! | `connection` | servers, connections, commands, replies; does not know about jobs |
//! | `fleet` | the roster of nodes, the leader of a partition, commands to nodes, hints |
//! | `jobs` | enqueue, claim, settle, completions, progress, durability |
//! | `addressed` | addressed pools, whose slots are leased one by one; broadcasts |
//! | `batch` | entries that gather in lists, and the batches made of them |
//! | `schedule` | schedules: storing, changing and declaring them, publishing their ticks |
//! | `unique` | keys of unique jobs: freeing at a start, looking, releasing, sweeping |
//! | `history` | counters over time: adding to frames, rolling them up, reading them; errors |
//! | `limits` | limited queues: groups, what may run at a time, turns |
//! | `maintenance` | duties of the leader of a partition: promote, prune, rescue |
//! | `admin` | operator commands: find, list, cancel, pause, remove, revive, reschedule |
//!
//! All operations are methods of [`Broker`]. Each file covers one verb or noun.

mod addressed;
mod admin;
mod batch;
mod connection;
mod fleet;
mod history;
mod jobs;
pub(crate) mod keys;
mod limits;
mod maintenance;
#[cfg(feature = "schedules")]
mod schedule;
mod scripts;
mod unique;

pub use addressed::broadcast::{BroadcastPosition, BroadcastReader, Copies};
pub use addressed::registry::{CastReply, PoolHeartbeat, PoolView, Report};
pub use addressed::relocate::SlotMove;
pub use addressed::slot_facts::SlotFacts;
pub use addressed::slot_lease::{AcquireReply, PollReply, PollRequest, SlotPoll, SlotWait};
pub use addressed::slot_view::SlotView;
pub use admin::ahead::Ahead;
pub use admin::cancel::Cancellation;
pub use admin::deaths::TakenDeath;
pub use admin::find_anywhere::{Ended, Sighting};
pub use admin::import::Imported;
pub use admin::job_facts::{JobTraces, RosterTimes};
pub use admin::lane_facts::{LaneFacts, PendingEntry};
#[doc(hidden)]
pub use admin::node_commands::node_commands;
pub use admin::nodes::NodeView;
pub use admin::partition_facts::PartitionFacts;
pub use admin::saved_views::SavedView;
pub use admin::server_check::Findings;
pub use admin::server_facts::{ServerClock, ServerFacts};
pub use admin::server_info::ServerInfo;
pub use admin::server_view::{Latency, ServerView};
pub use admin::walk::{Passed, Walk};
pub use batch::{
    BatchOptions, BatchState, BatcherHome, BatcherSums, BatcherTotals, CHUNK, CHUNK_BYTES,
    Gathering, ListEnd, OpenBatch, Popped, PushCall, PushVerdict, PushedEntries, SealedBatch,
    Token, check_group,
};
pub use connection::broker::Broker;
pub use connection::config::Config;
pub use connection::reply_limit::ItemSizes;
pub use connection::round_trips::{RedisOperation, RoundTripCounts};
pub use fleet::commands::Commands;
pub use fleet::hints::{Hint, Listener};
pub use fleet::leader::Leadership;
pub use fleet::node_info::{NodeInfo, NodeKind};
pub use fleet::roster::{Beat, Beater, Membership, NodeName, NodeOrder};
pub use history::deploys::DeployMark;
pub use history::flush::{Flushed, HistoryDelta};
pub use jobs::claim::ClaimConnection;
pub use jobs::claimed::{Claimed, Exchange, Visit, Waited};
pub use jobs::completions::CompletionListener;
pub use jobs::connection_id::ConnectionId;
pub use jobs::durability::Durability;
pub use jobs::finished_job::{FinishedJob, KeepFinished};
pub use jobs::lane_consumer::LaneConsumer;
pub use jobs::prepared::{PreparedJob, When};
pub use jobs::progress::ProgressReport;
pub use jobs::receipt::{Receipt, Stored};
pub use jobs::settle::{
    DeadLimits, Depths, Effect, RetryPlacement, Settled, Settlement, SlotLease,
};
pub use jobs::wait::WaitPart;
pub use jobs::wait_permit::WaitAnswer;
pub use limits::admit::Admission;
pub use limits::counts::GroupCounts;
pub use limits::define::{GroupLimits, Precedence, QueueLimits};
pub use limits::facts::GroupFacts;
pub use limits::group::{GroupRecord, GroupState};
pub use limits::on_time::GroupTimes;
pub use limits::pages::{GroupCursor, GroupPage, GroupView};
pub use limits::rate::Rate;
pub use limits::repair::Suspicion;
pub use limits::sort::{IntakeWait, SortedUpTo};
pub use maintenance::promote::Promotion;
pub use maintenance::rescue::HeldPage;
#[cfg(feature = "schedules")]
pub use schedule::{Declaration, Declared, Publication, ScheduleInfo};
#[doc(hidden)]
pub use scripts::script_texts;
pub use unique::{KeySweep, KeyView};
