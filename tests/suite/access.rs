//! The access rules of `docs/access.md` allow each user all its work, and no more.

use std::time::Duration;

use poolder::prelude::*;
use poolder_devserver::Server;

use crate::harness::{Number, Space, eventually, start};

const GUIDE: &str = include_str!("../../docs/access.md");

/// Returns the rules of a user as `docs/access.md` lists them.
fn rules(user: &str) -> Vec<&'static str> {
    let line = GUIDE.lines().find_map(|line| line.strip_prefix(&format!("{user}: ")));
    line.unwrap_or_else(|| panic!("the guide has no rules for {user}")).split(' ').collect()
}

/// Creates the user, and returns a space that connects as this user. All users of a test share one
/// namespace.
fn user(server: &Server, name: &str, sets: &[&str], test: &str) -> Space {
    let mut words = vec!["ACL", "SETUSER", name, "on", ">secret"];
    let namespace = format!("{test}:*");
    let own: Vec<String> = sets
        .iter()
        .flat_map(|set| rules(set))
        .map(|rule| rule.replace("poolder:*", &namespace))
        .collect();
    words.extend(own.iter().map(String::as_str));
    server.command(&words).unwrap();
    Space::named(format!("{}?user={name}&pass=secret", server.url()), test.into())
}

#[tokio::test]
async fn each_user_can_do_its_work_under_the_rules_of_the_guide_and_nothing_else() {
    let server = Server::start().unwrap_or_else(|error| panic!("{error}"));
    let name = poolder_devserver::namespace("access");
    let producer = user(&server, "producer", &["producer"], &name).client;
    let worker = user(&server, "worker", &["producer", "worker"], &name);
    let reader = user(&server, "reader", &["reader"], &name).client;

    let handler = worker_fn(|job: Number, _: Context| async move {
        match job.0 {
            0 => Err("no".into()),
            1 => Ok(Cancel("pointless".into())),
            2 => Ok(Snooze(Duration::from_millis(10))),
            number => Ok(Outcome::result(&number)?),
        }
    });
    let pool = Pool::new("q").size(2).worker(handler.clone());
    let addressed = Pool::new("addressed").size(1).mode(Mode::RoundRobin).worker(handler);
    let node = start(worker.node().pool(pool).pool(addressed));

    let once = Policy::default().attempts(1);
    producer.enqueue(Number(0)).policy(once).await.unwrap();
    producer.enqueue(Number(1)).await.unwrap();
    producer.enqueue(Number(2)).await.unwrap();
    let hour = Duration::from_secs(3600);
    producer.enqueue(Number(3)).id("three").idempotent(hour).await.unwrap();
    producer.enqueue(Number(4)).after(Duration::from_millis(10)).await.unwrap();
    let far = producer.enqueue(Number(5)).after(hour).await.unwrap();
    let many = producer.enqueue_many((6..20).map(Number)).await;
    assert!(many.iter().all(Result::is_ok), "{many:?}");
    let reply: u64 = producer.call(Number(42)).await.unwrap();
    assert_eq!(reply, 42);
    eventually("the pool is defined", || async {
        producer.pool::<Number>("addressed").cast(Number(21)).await.is_ok()
    })
    .await;

    eventually("all of it is done, as the reader sees it", || async {
        let view = reader.inspect("q").unwrap().overview().await.unwrap();
        view.dead == 1
            && view.counters.get("cancelled") == Some(&1)
            && view.counters.get("completed").is_some_and(|done| *done >= 17)
    })
    .await;
    assert_eq!(reader.inspect("q").unwrap().dead(None, 10).await.unwrap().jobs.len(), 1);
    assert_eq!(reader.nodes().await.unwrap().len(), 1);

    let refused = reader.cancel(&far).await.unwrap_err();
    assert!(refused.is_auth(), "{refused}");
    assert!(reader.enqueue(Number(7)).await.unwrap_err().is_auth());
    let refused = producer.inspect("q").unwrap().overview().await.unwrap_err();
    assert!(refused.is_auth(), "{refused}");
    worker.client.cancel(&far).await.unwrap();
    node.stop().await;
    let denied = server.command(&["ACL", "LOG", "100"]).unwrap();
    let words: Vec<&str> = denied.lines().collect();
    let of = |user: &str| {
        let denials = words.windows(4).filter(|w| w[0] == "object" && w[2..] == ["username", user]);
        // CLIENT SETINFO and CLIENT SETNAME are optional: clients go on when they are denied.
        denials.map(|w| w[1]).filter(|denied| !denied.starts_with("client")).collect::<Vec<_>>()
    };
    assert!(!of("reader").is_empty(), "{denied}");
    assert_eq!(of("worker"), Vec::<&str>::new(), "the worker lacks something");
}
