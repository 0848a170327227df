//! What the history, the journal and the audit cost the server. The figures of docs/history.md come
//! from here: `cargo xtask test -p poolder --test suite -- --ignored --nocapture history_cost`.

use std::time::Duration;

use poolder::{Actor, HistoryRange, JournalEvent, JournalRecord};
use poolder_core::broker::HistoryDelta;
use poolder_core::history::{AttemptEnd, AuditRecord, Counts, KindSums};
use poolder_devserver::Server;

use crate::harness::{Number, Space};

/// How often each operation is done.
const TIMES: u32 = 500;

/// Returns counts of a kind that is busy: attempts of many lengths that have waited for many times.
fn busy() -> Counts {
    let mut sums = KindSums::default();
    for n in 0..23_u32 {
        let micros = u64::from(n + 1) * u64::from(n + 1) * 97;
        sums.add_attempt(AttemptEnd::Done, Some(micros));
        sums.add_wait(micros * 31);
    }
    Counts::of(&sums)
}

/// Counts what commands cost a server that serves nothing else.
struct Meter {
    space: Space,
}

impl Meter {
    /// Prints the server's time for each of the `TIMES` operations that were just done: the time in
    /// commands, by `INFO commandstats`, and all of its CPU time.
    async fn print(&self, what: &str, before: f64) {
        let stats: String = self.space.redis(redis::cmd("INFO").arg("commandstats")).await;
        let micros = |line: &str| {
            let (name, fields) = line.split_once(':')?;
            let outer = ["evalsha", "get", "hgetall", "hmget", "time"];
            outer.iter().any(|own| name.strip_prefix("cmdstat_") == Some(own)).then_some(())?;
            let usec = fields.split(',').find_map(|field| field.strip_prefix("usec="))?;
            usec.parse::<f64>().ok()
        };
        // The time of a script has that of its commands, which are counted by themselves, too.
        let scripts: f64 =
            stats.lines().filter(|line| line.contains("evalsha")).filter_map(micros).sum();
        let all: f64 = stats.lines().filter_map(micros).sum();
        let in_commands = if scripts > 0.0 { scripts } else { all };
        let cpu = self.cpu().await - before;
        let each = |sum: f64| sum / f64::from(TIMES);
        println!("{what}: {:.1} µs in commands, {:.1} µs of CPU", each(in_commands), each(cpu));
    }

    /// Returns the CPU time of the server in µs, and resets its counts of commands.
    async fn start(&self) -> f64 {
        self.space.redis::<()>(redis::cmd("CONFIG").arg("RESETSTAT")).await;
        self.cpu().await
    }

    async fn cpu(&self) -> f64 {
        let info: String = self.space.redis(redis::cmd("INFO").arg("cpu")).await;
        let seconds = |name: &str| {
            let value = info.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            value.trim().parse::<f64>().unwrap()
        };
        (seconds("used_cpu_sys:") + seconds("used_cpu_user:")) * 1e6
    }
}

#[tokio::test]
#[ignore = "prints figures, and asserts nothing"]
async fn history_cost() {
    let server = Server::start().unwrap_or_else(|error| panic!("{error}"));
    let meter = Meter { space: Space::on(server.url(), "cost") };
    let client = meter.space.client.clone();
    let broker = client.broker();
    let now = client.time().await.unwrap();
    for kinds in [1, 5, 20, 100] {
        let kind = |number: usize| ("mail".to_owned(), format!("kind.{number}"), busy());
        let delta = HistoryDelta { kinds: (0..kinds).map(kind).collect(), errors: vec![] };
        let before = meter.start().await;
        for _ in 0..TIMES {
            broker.flush_history(&delta, now).await.unwrap();
        }
        meter.print(&format!("flush of {kinds} kinds"), before).await;
    }
    let record = AuditRecord::new(&Actor::new("ann"), "queue.pause", "mail", "");
    let before = meter.start().await;
    for _ in 0..TIMES {
        broker.add_to_audit(&record).await.unwrap();
    }
    meter.print("line of the audit", before).await;
    let record = JournalRecord::new(JournalEvent::NodeCame).node("host:1:a");
    let before = meter.start().await;
    for _ in 0..TIMES {
        broker.add_to_journal(&record).await.unwrap();
    }
    meter.print("line of the journal", before).await;
    for number in 0..100 {
        client.enqueue(Number(number)).await.unwrap();
    }
    let queues = client.queues().await.unwrap();
    let before = meter.start().await;
    for _ in 0..TIMES {
        broker.overviews(&queues).await.unwrap();
    }
    meter.print("sample of a partition", before).await;
    let eight_hours = HistoryRange::last(Duration::from_secs(8 * 3_600));
    let before = meter.start().await;
    for _ in 0..TIMES {
        client.history(Some("mail"), Some("kind.1"), eight_hours).await.unwrap();
    }
    meter.print("read of a kind over 8 hours", before).await;
}
