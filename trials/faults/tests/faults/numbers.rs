use super::*;
use faults::Server;

fn calls(s: &Server) -> u64 {
    s.info("total_commands_processed").parse().unwrap()
}

/// bull PR #452, bull #1705, agenda #1146: delays at the ends of the range.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn delays_at_the_end_of_the_range() {
    let t = "delay_max";
    let s = Server::start(&[]);
    let c = client(&s.url());
    let seen = Seen::default();
    let node = start(
        Node::builder(c.clone())
            .pool(Pool::new("q").size(4).worker(counting(&seen, Duration::ZERO))),
    );
    tokio::time::sleep(secs(3)).await;
    let n0 = calls(&s);
    tokio::time::sleep(secs(4)).await;
    let quiet = calls(&s) - n0;
    let far = c
        .enqueue(N(1))
        .after(Duration::MAX)
        .await
        .map(|r| format!("{:?}", r.stored))
        .map_err(|e| what(&e));
    let at = c
        .enqueue(N(2))
        .at(poolder::Timestamp::from_millis(i64::MAX))
        .await
        .map(|r| format!("{:?}", r.stored))
        .map_err(|e| what(&e));
    let past = c
        .enqueue(N(3))
        .at(poolder::Timestamp::from_millis(i64::MIN))
        .await
        .map(|r| format!("{:?}", r.stored))
        .map_err(|e| what(&e));
    say(t, format!("after(MAX) {far:?}; at(max) {at:?}; at(min) {past:?}"));
    let n1 = calls(&s);
    tokio::time::sleep(secs(4)).await;
    let busy = calls(&s) - n1;
    c.enqueue(N(4)).after(secs(1)).await.unwrap();
    let took = until(15, || async { seen.has(4) }).await;
    say(
        t,
        format!(
            "commands in 4 s: before {quiet}, with far jobs {busy}; a job due in 1 s ran after {took:?}; ran: 1 {} 2 {} 3 {}",
            seen.has(1),
            seen.has(2),
            seen.has(3)
        ),
    );
    let page = c.inspect("q").due(None, 10).await.map(|p| p.jobs.len()).map_err(|e| what(&e));
    say(t, format!("due list: {page:?}"));
    node.stop().await;
    assert!(!seen.has(1) && !seen.has(2), "a job for the far future ran at once");
    assert!(took.is_some(), "jobs behind it wait");
    assert!(busy < quiet * 5 + 200, "the promoter spins");
    assert!(page.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snooze_of_the_longest_duration() {
    let t = "snooze_max";
    let s = Server::start(&[]);
    let c = client(&s.url());
    let seen = Seen::default();
    let sn = seen.clone();
    let w = worker_fn(move |N(n): N, _: Context| {
        let seen = sn.clone();
        async move {
            seen.note(n);
            if n == 1 { Snooze(Duration::MAX) } else { Done }
        }
    });
    let node = start(Node::builder(c.clone()).pool(Pool::new("q").size(4).worker(w)));
    tokio::time::sleep(secs(3)).await;
    let n0 = calls(&s);
    tokio::time::sleep(secs(4)).await;
    let quiet = calls(&s) - n0;
    c.enqueue(N(1)).await.unwrap();
    tokio::time::sleep(secs(1)).await;
    let n1 = calls(&s);
    tokio::time::sleep(secs(4)).await;
    let busy = calls(&s) - n1;
    c.enqueue(N(2)).await.unwrap();
    let took = until(10, || async { seen.has(2) }).await;
    say(
        t,
        format!(
            "runs of the snoozed job {}; another job {took:?}; commands in 4 s: before {quiet}, after {busy}",
            seen.of(1)
        ),
    );
    node.stop().await;
    assert!(seen.of(1) == 1 && took.is_some() && busy < quiet * 5 + 200);
}

/// sidekiq-unique-jobs #964 (units of a ttl): the largest duration as a window without an end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idempotent_forever() {
    let t = "idempotent_max";
    let s = Server::start(&[]);
    let c = client(&s.url());
    let first = c
        .enqueue(N(1))
        .id("a")
        .idempotent(Duration::MAX)
        .await
        .map(|r| format!("{:?}", r.stored))
        .map_err(|e| what(&e));
    let again = c
        .enqueue(N(1))
        .id("a")
        .idempotent(Duration::MAX)
        .await
        .map(|r| format!("{:?}", r.stored))
        .map_err(|e| what(&e));
    let len = s.cmd(&["XLEN", "t:{q.0}:ready:normal"]);
    say(t, format!("first {first:?}; again {again:?}; jobs stored: {len}"));
    let century = c
        .enqueue(N(1))
        .id("b")
        .idempotent(Duration::from_secs(100 * 365 * 86400))
        .await
        .map(|r| format!("{:?}", r.stored))
        .map_err(|e| what(&e));
    say(t, format!("a hundred years: {century:?}"));
    let b = c.batcher::<u64>("b");
    b.declare(poolder::BatchOptions::default()).await.unwrap();
    let push = b.push(1).token("x", Duration::MAX).await.map_err(|e| what(&e));
    let push2 = b.push(1).token("x", Duration::MAX).await.map_err(|e| what(&e));
    let blen = b.len().await;
    say(
        t,
        format!(
            "push under a token of the largest window: {push:?}, again {push2:?}; entries {blen:?}"
        ),
    );
    let stored: u32 = len.parse().unwrap();
    assert!(
        (first.is_ok() && stored == 1) || (first.is_err() && stored == 0),
        "the call failed, and the job is there, once per try"
    );
    assert!(
        (push.is_ok() && blen.as_ref().is_ok_and(|l| *l == 1))
            || (push.is_err() && blen.as_ref().is_ok_and(|l| *l == 0)),
        "push"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn completions_kept_forever() {
    let t = "keep_completion_max";
    let s = Server::start(&[]);
    let c = client(&s.url());
    let seen = Seen::default();
    let sn = seen.clone();
    let w = worker_fn(move |N(n): N, _: Context| {
        let seen = sn.clone();
        async move {
            seen.note(n);
            Ok::<_, BoxError>(Outcome::result(&n)?)
        }
    });
    let node = start(Node::builder(c.clone()).pool(Pool::new("q").size(4).worker(w)));
    tokio::time::sleep(secs(1)).await;
    let c2 = c.clone();
    let call = tokio::spawn(async move {
        let r: Result<u64, _> = c2.call(N(1)).timeout(Duration::MAX).await;
        r.map_err(|e| what(&e))
    });
    let kept =
        c.enqueue(N(2)).keep_completion(Duration::MAX).await.map(|_| ()).map_err(|e| what(&e));
    tokio::time::sleep(secs(2)).await;
    for n in 10..30 {
        c.enqueue(N(n)).await.unwrap();
    }
    let others = until(10, || async { (10..30).all(|n| seen.has(n)) }).await;
    tokio::time::sleep(secs(5)).await;
    let o = c.inspect("q").overview().await.unwrap();
    let answered = call.is_finished();
    say(
        t,
        format!(
            "keep_completion(MAX) {kept:?}; call(MAX) answered {answered}; runs of 1: {}, of 2: {}; 20 other jobs ran {others:?}; completed {} running {}",
            seen.of(1),
            seen.of(2),
            o.counter("completed"),
            o.running()
        ),
    );
    let stop = node.stop().await;
    say(t, format!("the node stopped in {stop:?}"));
    assert!(o.running() == 0, "jobs have ended, and cannot be settled, ever");
    assert!(answered && stop < secs(10));
}

/// Timeouts and waits at the end of the range.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn timeouts_and_backoffs_at_the_end_of_the_range() {
    let t = "policy_max";
    let s = Server::start(&[]);
    let c = client(&s.url());
    let seen = Seen::default();
    let sn = seen.clone();
    let w = worker_fn(move |N(n): N, _: Context| {
        let seen = sn.clone();
        async move {
            seen.note(n);
            if n == 2 {
                return Err("x".into());
            }
            Ok::<_, BoxError>(Outcome::result(&n)?)
        }
    });
    let node = start(Node::builder(c.clone()).pool(Pool::new("q").size(4).worker(w)));
    let p = poolder::Policy::default()
        .timeout(Duration::MAX)
        .retry_for(Duration::MAX)
        .backoff(Backoff::Fixed(Duration::MAX));
    let r = c.enqueue(N(1)).policy(p.clone()).await.map_err(|e| what(&e)).unwrap();
    c.enqueue(N(2)).policy(p).await.unwrap();
    let got: Result<u64, _> = c.job(&r).wait().timeout(Duration::MAX).await;
    let ok = until(10, || async { seen.has(2) }).await;
    tokio::time::sleep(secs(2)).await;
    let o = c.inspect("q").overview().await.unwrap();
    c.enqueue(N(3)).await.unwrap();
    let third = until(10, || async { seen.has(3) }).await;
    say(
        t,
        format!(
            "result {got:?}; failing job ran {ok:?}, {} times; due {} running {}; another {third:?}",
            seen.of(2),
            o.due,
            o.running()
        ),
    );
    node.stop().await;
    assert!(got.is_ok() && seen.of(2) == 1 && o.due == 1 && o.running() == 0 && third.is_some());
}

/// Smallest: one job whose settlement the server refuses keeps others of its pool from being settled.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_settlement_that_is_refused_blocks_those_beside_it() {
    let t = "poison";
    let s = Server::start(&[]);
    let c = client(&s.url());
    let seen = Seen::default();
    let sn = seen.clone();
    let w = worker_fn(move |N(n): N, cx: Context| {
        let seen = sn.clone();
        async move {
            if (10..20).contains(&n) && cx.attempt() == 1 {
                return Err("once".into());
            }
            seen.note(n);
            if (20..30).contains(&n) {
                return Ok(Outcome::result(&n)?);
            }
            Ok::<_, BoxError>(Done)
        }
    });
    let node = start(
        Node::builder(c.clone()).shutdown_timeout(secs(2)).pool(
            Pool::new("q")
                .size(4)
                .policy(poolder::Policy::default().backoff(Backoff::Fixed(ms(100))))
                .worker(w),
        ),
    );
    tokio::time::sleep(secs(1)).await;
    c.enqueue(N(1)).keep_completion(Duration::MAX).await.unwrap();
    tokio::time::sleep(secs(1)).await;
    for n in (10..20).chain(20..30).chain(30..40) {
        c.enqueue(N(n)).await.unwrap();
    }
    let plain = until(20, || async { (30..40).all(|n| seen.has(n)) }).await;
    let retried = until(20, || async { (10..20).all(|n| seen.has(n)) }).await;
    let o = c.inspect("q").overview().await.unwrap();
    say(
        t,
        format!(
            "10 plain jobs ran {plain:?}; 10 that fail once ran again {retried:?}; completed {} retried {} running {}",
            o.counter("completed"),
            o.counter("retried"),
            o.running()
        ),
    );
    node.stop().await;
    assert!(o.running() <= 1 && retried.is_some());
}
