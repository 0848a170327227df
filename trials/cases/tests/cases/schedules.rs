//! Schedules: many, changed, paused, and at the edges of time.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use poolder::Timestamp;
use poolder::prelude::*;

use crate::harness::*;

/// Quantum#413: a schedule added, resumed or changed later makes up for nothing. And Missed::All
/// after an outage runs each tick once.
#[tokio::test(flavor = "multi_thread")]
async fn schedules_make_up_only_what_was_missed() {
    let space = Space::new("sched");
    let c = &space.client;
    let ticks: Arc<Mutex<Vec<i64>>> = Arc::default();
    let seen = Arc::clone(&ticks);
    let worker = worker_fn(move |_: F, cx: Context| {
        let seen = Arc::clone(&seen);
        async move {
            seen.lock().unwrap().push(cx.tick().unwrap().at().millis());
            Done
        }
    });
    let node = start(space.node().pool(Pool::new("q").size(4).worker(worker.clone())));
    tokio::time::sleep(s(2)).await;
    let made = Timestamp::now().millis();
    let all = Missed::All { most: 1000, within: s(3600) };
    c.schedule("t", "* * * * * *", F(1)).missed(all).await.unwrap();
    tokio::time::sleep(ms(3300)).await;
    let first = ticks.lock().unwrap().clone();
    report(
        "quantum#413: nothing before it was made",
        first.iter().all(|t| *t > made - 50) && first.len() >= 2 && first.len() <= 4,
        format!("{} ticks, the first {} ms after", first.len(), first[0] - made),
    );
    let sch = c.schedules("q");
    sch.pause("t").await.unwrap();
    tokio::time::sleep(s(4)).await;
    let n = ticks.lock().unwrap().len();
    let at = Timestamp::now().millis();
    sch.resume("t").await.unwrap();
    tokio::time::sleep(ms(2500)).await;
    let more = ticks.lock().unwrap()[n..].to_vec();
    report(
        "resume makes up for nothing",
        more.iter().all(|t| *t > at - 50) && more.len() <= 3,
        format!("{} ticks", more.len()),
    );
    node.stop().await;
    let n = ticks.lock().unwrap().len();
    let last = *ticks.lock().unwrap().iter().max().unwrap();
    tokio::time::sleep(s(6)).await;
    let node = start(space.node().pool(Pool::new("q").size(4).worker(worker)));
    tokio::time::sleep(s(4)).await;
    let more = ticks.lock().unwrap()[n..].to_vec();
    let set: HashSet<_> = more.iter().collect();
    let min = *more.iter().min().unwrap_or(&0);
    let max = *more.iter().max().unwrap_or(&0);
    report(
        "Missed::All after 6 s without a node: each once, none left out",
        set.len() == more.len()
            && min == last + 1000
            && more.len() as i64 == (max - min) / 1000 + 1
            && more.len() >= 9,
        format!("{} ticks from {} to {}, last before {last}", more.len(), min, max),
    );
    node.stop().await;
}

/// Schedules at the edges of time.
#[tokio::test(flavor = "multi_thread")]
async fn schedules_at_the_edges() {
    let space = Space::new("edges");
    let c = &space.client;
    let ran = Arc::new(AtomicU64::new(0));
    let node = start(space.node().pool(Pool::new("q").size(4).worker(counter(&ran))));
    let ts = Timestamp::from_millis;
    let now = Timestamp::now().millis();
    type B = Box<dyn Fn(poolder::NewSchedule) -> poolder::NewSchedule>;
    let cases: Vec<(&str, &str, B)> = vec![
        ("start 1970", "10ms", Box::new(move |n| n.start(ts(0)))),
        ("start i64::MIN", "1s", Box::new(move |n| n.start(ts(i64::MIN)))),
        ("start i64::MAX", "1s", Box::new(move |n| n.start(ts(i64::MAX)))),
        ("start i64::MAX, 100 years", "36500d", Box::new(move |n| n.start(ts(i64::MAX - 1)))),
        ("end in the past", "1s", Box::new(move |n| n.end(ts(now - 5000)))),
        ("end before start", "1s", Box::new(move |n| n.start(ts(now + 5000)).end(ts(now)))),
        ("cron start i64::MAX", "* * * * *", Box::new(move |n| n.start(ts(i64::MAX)))),
        ("cron start year 2101", "0 0 1 1 *", Box::new(move |n| n.start(ts(4_133_980_800_000)))),
        ("cron start i64::MIN", "* * * * * *", Box::new(move |n| n.start(ts(i64::MIN)))),
        ("jitter 100 years", "1s", Box::new(move |n| n.jitter(s(3_153_600_000)))),
        ("jitter MAX", "1s", Box::new(move |n| n.jitter(Duration::MAX))),
        (
            "missed all 10,000 in 100 years",
            "10ms",
            Box::new(move |n| n.missed(Missed::All { most: 10_000, within: s(3_153_600_000) })),
        ),
        (
            "missed within MAX",
            "1s",
            Box::new(move |n| n.missed(Missed::All { most: 1, within: Duration::MAX })),
        ),
        ("year 1970 only", "0 0 0 1 1 * 1970", Box::new(|n| n)),
    ];
    for (label, timing, f) in cases {
        let name = "e";
        let r = tokio::time::timeout(s(5), f(c.schedule(name, timing, N(1)))).await;
        let text = match &r {
            Err(_) => "HANGS".to_owned(),
            Ok(Ok(i)) => format!("ok, next {:?}", i.next.map(poolder::Timestamp::millis)),
            Ok(Err(e)) => format!("refused invalid={} {e}", e.is_invalid()),
        };
        let p = tokio::time::timeout(s(5), async { c.schedules("q").preview(name, 2).await }).await;
        tokio::time::sleep(ms(700)).await;
        let alive = space.client.schedule("alive", "100ms", N(2)).await.is_ok();
        let before = ran.load(Ordering::Relaxed);
        let goes = until(s(4), || async { ran.load(Ordering::Relaxed) > before }).await;
        let good = match &r {
            Ok(Ok(_)) => true,
            Ok(Err(e)) => e.is_invalid(),
            Err(_) => false,
        };
        report(
            &format!("schedule {label}"),
            good && p.is_ok() && goes && alive,
            format!(
                "{text}; preview {:?}; others tick={goes}",
                p.map(|p| p
                    .map(|v| v.iter().map(|t| t.millis()).collect::<Vec<_>>())
                    .map_err(|e| e.to_string()))
            ),
        );
        let _ = c.schedules("q").remove(name).await;
        let _ = c.schedules("q").remove("alive").await;
    }
    println!("   stop {:?}", node.stop().await);
}

/// Thousands of schedules.
#[tokio::test(flavor = "multi_thread")]
async fn many_schedules() {
    let space = Space::new("scheds");
    let c = &space.client;
    let seen: Arc<Mutex<HashMap<(String, i64), u32>>> = Arc::default();
    let tell = Arc::clone(&seen);
    let worst = Arc::new(AtomicU64::new(0));
    let w2 = Arc::clone(&worst);
    let t = Instant::now();
    let tasks: Vec<_> = (0..20)
        .map(|k| {
            let c = c.clone();
            tokio::spawn(async move {
                for i in 0..100 {
                    c.schedule(format!("s/{k}:{i}"), "*/5 * * * * *", F(i)).await.unwrap();
                }
            })
        })
        .collect();
    for t in tasks {
        t.await.unwrap();
    }
    println!("   2,000 schedules added in {:?}", t.elapsed());
    let node = start(space.node().pool(Pool::new("q").size(16).worker(worker_fn(
        move |_: F, cx: Context| {
            let (tell, worst) = (Arc::clone(&tell), Arc::clone(&w2));
            async move {
                let tick = cx.tick().unwrap();
                let at = tick.at().millis();
                worst.fetch_max(
                    u64::try_from(Timestamp::now().millis() - at).unwrap_or(0),
                    Ordering::Relaxed,
                );
                *tell.lock().unwrap().entry((tick.schedule().to_owned(), at)).or_default() += 1;
                Done
            }
        },
    ))));
    tokio::time::sleep(s(17)).await;
    node.stop().await;
    let seen = seen.lock().unwrap().clone();
    let mut per: BTreeMap<i64, usize> = BTreeMap::new();
    for (_, at) in seen.keys() {
        *per.entry(*at).or_default() += 1;
    }
    let twice = seen.values().filter(|n| **n > 1).count();
    let full = per.values().filter(|n| **n == 2000).count();
    report(
        "2,000 schedules that tick together",
        twice == 0 && full >= 2,
        format!(
            "per tick {:?}, twice {twice}, latest {} ms",
            per.values().collect::<Vec<_>>(),
            worst.load(Ordering::Relaxed)
        ),
    );
    let t = Instant::now();
    let l = c.schedules("q").list().await.unwrap().len();
    println!("   list of {l} in {:?}", t.elapsed());
}

/// The weekday that vanishes.
#[tokio::test(flavor = "multi_thread")]
async fn weekday_seven_with_a_step() {
    let space = Space::new("seven");
    for e in [
        "0 0 * * 7/2",
        "0 0 * * 7/1",
        "0 0 13 * 7/7",
        "0 0 * * 7/2,1",
        "0 0 * * 7/2 ",
        "0 0 0 * * 7/3 2030",
    ] {
        let r = space.client.schedule("s", e, N(1)).await;
        let text = match &r {
            Err(e) => format!("refused: {e}"),
            Ok(_) => {
                let p = space.client.schedules("q").preview("s", 4).await.unwrap();
                format!(
                    "{:?}",
                    p.iter().map(|t| poolder::Zone::UTC.show(t.millis())).collect::<Vec<_>>()
                )
            }
        };
        report(&format!("schedule {e:?}: Sundays or a refusal"), r.is_err(), text);
    }
    // The macros parse this expression at compile time: newcomer/misuse/m34_weekday_seven.rs.
    let read = "0 0 * * 7/2".parse::<poolder_cron::Timing>();
    report("schedule \"0 0 * * 7/2\": refused by the macro", read.is_err(), format!("{read:?}"));
}
