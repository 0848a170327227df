//! The server that all tests of a process share.

use poolder_devserver::{DEV_URL_VAR, namespace, shared};

#[test]
fn every_call_returns_the_same_server() {
    let (one, two) = (shared().expect("a server"), shared().expect("the same"));
    assert!(std::ptr::eq(one, two));
    let key = namespace("shared");
    one.command(&["SET", &key, "value", "PX", "60000"]).expect("set");
    assert_eq!(two.command(&["GET", &key]).expect("an answer"), "value");
}

#[test]
fn the_server_that_xtask_started_is_used() {
    if let Ok(url) = std::env::var(DEV_URL_VAR) {
        assert_eq!(shared().expect("a server").url(), url);
    }
}
