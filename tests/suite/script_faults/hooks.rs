//! Burials of which hooks are told, and the taking of them.

use poolder_core::broker::DeadLimits;

use super::inject::{NOTHING, Tolerated};
use super::jobs::{bury, settlement};
use super::{Lab, envelope, id_of, partition};

pub(super) const SCRIPTS: &[&str] = &["maintenance/deaths"];

const NO_OPTIONS: &[u8] = b"\x80";
const LIMITS: DeadLimits =
    DeadLimits { count: 2, age: std::time::Duration::from_secs(3600), hooks: true };

fn member(number: u8, tries: u8) -> Vec<u8> {
    [id_of(number).as_bytes().as_slice(), &[tries]].concat()
}

#[tokio::test]
async fn an_error_in_a_burial_that_hooks_are_told_of_is_mended() {
    let mut lab = Lab::start();
    for among_many in [false, true] {
        lab.reset();
        if among_many {
            for number in [1, 2] {
                let claim = lab.claim_one(&envelope(number, "k", NO_OPTIONS)).await;
                lab.settle_within(LIMITS, &[settlement(&claim, bury(&claim))]).await;
                // Otherwise two jobs may die in the same ms.
                lab.set("ZADD", "dead", &[&[b'0' + number], id_of(number).as_bytes()]);
                lab.set("ZADD", "dead:hooks", &[&[b'0' + number], &member(number, 0)]);
            }
        }
        let claim = lab.claim_one(&envelope(3, "k", NO_OPTIONS)).await;
        let fault = lab.snapshot();
        lab.settle_within(LIMITS, &[settlement(&claim, bury(&claim))]).await;
        let case = format!("burial for hooks, among many: {among_many}");
        lab.inject("jobs/settle", &case, fault);
    }
    lab.finish(&["jobs/settle"]);
}

#[tokio::test]
async fn an_error_in_the_taking_of_deaths_leaves_each_to_be_taken_again() {
    let mut lab = Lab::start();
    lab.set("ZADD", "dead:hooks", &[b"1", &member(1, 0), b"2", &member(2, 9), b"3", b"short"]);
    let fault = lab.snapshot();
    let taken = lab.broker().take_deaths(&partition()).await.unwrap();
    let tries: Vec<_> = taken.iter().map(|death| (death.tries, death.is_last_try())).collect();
    assert_eq!(tries, [(1, false), (10, true), (10, true)]);
    assert!(taken.iter().all(|death| death.job.is_none()));
    lab.inject_but("maintenance/deaths", "three", fault, Tolerated { steps: true, ..NOTHING });
    lab.finish(SCRIPTS);
}
