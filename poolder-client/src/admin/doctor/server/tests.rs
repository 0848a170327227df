use super::*;
use poolder_core::broker::Latency;

fn facts(fields: &[(&str, &str)]) -> ServerFacts {
    let usual = [
        ("redis_version", "7.2.4"),
        ("role", "master"),
        ("loading", "0"),
        ("aof_enabled", "1"),
        ("aof_last_write_status", "ok"),
        ("connected_clients", "50"),
        ("maxclients", "10000"),
    ];
    let all = usual.iter().chain(fields);
    ServerFacts {
        info: Some(all.copied().collect()),
        denied: Some(vec![]),
        appendfsync: Some("everysec".into()),
        is_private: true,
        ..ServerFacts::default()
    }
}

fn codes(facts: &ServerFacts) -> Vec<&'static str> {
    let mut found = vec![];
    check(facts, 4, &mut found);
    found.iter().map(|finding| finding.code).collect()
}

#[test]
fn a_sound_server_has_no_faults_and_a_name() {
    assert_eq!(codes(&facts(&[])), [""; 0]);
    assert_eq!(name(&facts(&[])), "Redis 7.2.4");
    assert_eq!(name(&facts(&[("valkey_version", "9.1.2")])), "Valkey 9.1.2");
    assert_eq!(name(&ServerFacts::default()), "");
}

#[test]
fn each_fault_of_a_server_is_found() {
    let with = |name: &str, value: &str| codes(&facts(&[(name, value)]));
    assert_eq!(with("redis_version", "6.0.9"), ["version"]);
    assert_eq!(with("redis_version", "7.0.4"), ["version"]);
    assert_eq!(with("redis_version", "7.0.5"), [""; 0]);
    assert_eq!(with("role", "slave"), ["replica"]);
    assert_eq!(with("loading", "1"), ["loading"]);
    assert_eq!(with("aof_enabled", "0"), ["aof"]);
    assert_eq!(with("aof_last_write_status", "err"), ["persistence"]);
    assert_eq!(with("rdb_last_bgsave_status", "err"), ["persistence"]);
    assert_eq!(with("connected_slaves", "2"), ["min_replicas"]);
    assert_eq!(with("connected_clients", "8000"), ["clients"]);
    assert_eq!(codes(&ServerFacts { info: None, ..facts(&[]) }), ["info_denied"]);
    let missing = vec!["XADD".into()];
    assert_eq!(codes(&ServerFacts { missing, ..facts(&[]) }), ["missing_commands"]);
    let denied = Some(vec!["XADD".into()]);
    assert_eq!(codes(&ServerFacts { denied, ..facts(&[]) }), ["rights"]);
    assert_eq!(codes(&ServerFacts { denied: None, ..facts(&[]) }), [""; 0]);
    let appendfsync = Some("no".into());
    assert_eq!(codes(&ServerFacts { appendfsync, ..facts(&[]) }), ["appendfsync"]);
    let clock_off = Duration::from_secs(3);
    assert_eq!(codes(&ServerFacts { clock_off, ..facts(&[]) }), ["clock"]);
    for (fields, found) in [
        (&[("cluster_state", "ok"), ("cluster_slots_ok", "16384")][..], &[][..]),
        (&[("cluster_state", "fail"), ("cluster_slots_ok", "16384")], &["cluster_slots"]),
        (&[("cluster_state", "ok"), ("cluster_slots_ok", "16000")], &["cluster_slots"]),
    ] {
        let cluster = Some(fields.iter().copied().collect());
        assert_eq!(codes(&ServerFacts { cluster, ..facts(&[]) }), found);
    }
    assert_eq!(codes(&ServerFacts { is_private: false, ..facts(&[]) }), ["tls"]);
}

#[test]
fn each_server_of_a_cluster_is_examined() {
    let server = |name: &str, policy: &str, why: Option<&str>| {
        let mut view = ServerView::default();
        (view.address, view.name, view.policy) = ("10.0.0.7:1".into(), name.into(), policy.into());
        view.why = why.map(str::to_owned);
        view
    };
    let codes = |servers: &[ServerView]| -> Vec<&'static str> {
        let mut found = vec![];
        check_all(servers, &mut found);
        found.iter().map(|finding| finding.code).collect()
    };
    let sound = || server("Valkey 9.1.2", "noeviction", None);
    assert_eq!(codes(&[sound(), sound()]), [""; 0]);
    assert_eq!(codes(&[server("x", "allkeys-lru", None)]), [""; 0], "it is examined by itself");
    let away = |median| {
        let mut latency = Latency::default();
        (latency.median, latency.slowest) = (median, 2 * median);
        let mut server = sound();
        server.latency = Some(latency);
        server
    };
    assert_eq!(codes(&[away(49_999)]), [""; 0]);
    assert_eq!(codes(&[away(50_000)]), ["latency"]);
    assert_eq!(codes(&[away(200), away(90_000)]), ["latency"]);
    let all = [sound(), server("Valkey 9.1.1", "allkeys-lru", None), server("", "", Some("away"))];
    assert_eq!(codes(&all), ["server_eviction", "server_away", "mixed_versions"]);
}

#[test]
fn a_long_list_of_commands_is_cut() {
    let names: Vec<String> = (0..10).map(|at| format!("c{at}")).collect();
    assert!(some_of(&names).ends_with("c7, and 2 other commands"));
    assert_eq!(some_of(&names[..2]), "c0, c1");
}
