use std::time::Duration;

use poolder_devserver::Server;

use super::*;

async fn through() -> (Server, Proxy, Arc<Rules>, redis::Client) {
    let server = Server::builder().tcp().start().unwrap();
    let url = server.tcp_url().unwrap();
    let address = url.trim_start_matches("redis://").trim_end_matches('/').parse().unwrap();
    let rules = Arc::new(Rules::default());
    let proxy = Proxy::start("p", address, Arc::clone(&rules)).await.unwrap();
    let client = redis::Client::open(proxy.url()).unwrap();
    (server, proxy, rules, client)
}

async fn connect(client: &redis::Client) -> redis::aio::MultiplexedConnection {
    let patience = Some(Duration::from_millis(500));
    let settings = redis::AsyncConnectionConfig::new().set_response_timeout(patience);
    client.get_multiplexed_async_connection_with_config(&settings).await.unwrap()
}

#[tokio::test]
async fn a_command_whose_reply_is_lost_ran_and_a_lost_command_did_not() {
    let (server, _proxy, rules, client) = through().await;
    for (what, cut, sum) in [
        (Lost::Reply, true, "1"),
        (Lost::Reply, false, "2"),
        (Lost::Request, true, "2"),
        (Lost::Request, false, "2"),
    ] {
        let mut connection = connect(&client).await;
        let lost = rules.lose(Loss { command: "INCR", after: 0, what, cut });
        let reply: redis::RedisResult<i64> =
            redis::cmd("INCR").arg("n").query_async(&mut connection).await;
        assert!(reply.is_err(), "{what:?} {cut}");
        assert_eq!(lost.await.unwrap(), "p");
        assert_eq!(server.command(&["GET", "n"]).unwrap(), sum, "{what:?} {cut}");
    }
    let mut connection = connect(&client).await;
    let reply: i64 = redis::cmd("INCR").arg("n").query_async(&mut connection).await.unwrap();
    assert_eq!(reply, 3, "once only");
}

#[tokio::test]
async fn the_nth_is_lost_and_scripts_have_names() {
    let (server, _proxy, rules, client) = through().await;
    let mut connection = connect(&client).await;
    // A part of other scripts stands in front.
    let text = "-- one.lua: stands in front of scripts that add\nlocal one = 1\n\
                -- add.lua: adds\nreturn redis.call('INCRBY', 'n', one)";
    let hash: String =
        redis::cmd("SCRIPT").arg("LOAD").arg(text).query_async(&mut connection).await.unwrap();
    let lost = rules.lose(Loss { command: "add", after: 2, what: Lost::Reply, cut: true });
    let mut run = redis::cmd("EVALSHA");
    run.arg(hash).arg(0);
    let two: i64 = {
        let _: i64 = run.query_async(&mut connection).await.unwrap();
        run.query_async(&mut connection).await.unwrap()
    };
    assert_eq!(two, 2);
    assert!(run.query_async::<i64>(&mut connection).await.is_err());
    assert_eq!(lost.await.unwrap(), "p");
    assert_eq!(server.command(&["GET", "n"]).unwrap(), "3");
}

#[tokio::test]
async fn a_proxy_slows_chops_freezes_silences_halves_and_cuts() {
    let (_server, proxy, _, client) = through().await;
    let mut connection = connect(&client).await;
    let ping = redis::cmd("PING");
    proxy.set(|conditions| conditions.dribble = true);
    assert!(ping.query_async::<String>(&mut connection).await.is_ok());
    proxy
        .set(|conditions| *conditions = Conditions { dribble: false, frozen: true, ..*conditions });
    assert!(ping.query_async::<String>(&mut connection).await.unwrap_err().is_timeout());
    proxy.set(|conditions| conditions.frozen = false);
    let mut connection = connect(&client).await;
    proxy.set(|conditions| conditions.silent = true);
    assert!(ping.query_async::<String>(&mut connection).await.unwrap_err().is_timeout());
    proxy.set(|conditions| (conditions.silent, conditions.narrow) = (false, true));
    let (mut connection, begun) = (connect(&client).await, std::time::Instant::now());
    let text = "x".repeat(100_000);
    let echo = redis::cmd("ECHO").arg(&text).query_async::<String>(&mut connection).await;
    assert_eq!(echo.unwrap(), text);
    assert!(begun.elapsed() >= Duration::from_millis(200), "there and back at 1 MB/s");
    proxy.set(|conditions| conditions.narrow = false);
    let mut connection = connect(&client).await;
    assert!(ping.query_async::<String>(&mut connection).await.is_ok());
    proxy.half_close();
    assert!(ping.query_async::<String>(&mut connection).await.is_err());
    let mut connection = connect(&client).await;
    proxy.cut();
    assert!(ping.query_async::<String>(&mut connection).await.is_err());
    let mut connection = connect(&client).await;
    assert!(ping.query_async::<String>(&mut connection).await.is_ok());
}
