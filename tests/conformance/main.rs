//! The behaviour of each example, on a queue without a server and on a real server: what a test
//! sees without a server is what happens with one.

mod scenarios;
mod stage;

// The examples are used as they are; their own `main` is not called.
#[path = "../../examples/broadcast.rs"]
#[allow(dead_code, reason = "the main function of an example")]
mod broadcast;
#[path = "../../examples/hello.rs"]
#[allow(dead_code, reason = "the main function of an example")]
mod hello;
#[path = "../../examples/ordering.rs"]
#[allow(dead_code, reason = "the main function of an example")]
mod ordering;
#[path = "../../examples/seed.rs"]
#[allow(dead_code, reason = "the main function of an example")]
mod seed;
#[path = "../../examples/shop/src/jobs.rs"]
mod shop;
#[path = "../../examples/shop/src/store.rs"]
mod store;
#[path = "../../examples/web/src/jobs.rs"]
mod web;

use stage::Stage;

/// Plays each scenario in both places.
macro_rules! in_both_places {
    ($($scenario:ident)*) => {
        mod without_a_server {
            $(#[tokio::test]
            async fn $scenario() {
                crate::scenarios::$scenario(crate::Stage::queue()).await;
            })*
        }

        mod on_a_server {
            $(#[tokio::test]
            async fn $scenario() {
                crate::scenarios::$scenario(crate::Stage::server().await).await;
            })*
        }
    };
}

in_both_places! {
    a_hello_is_said
    changes_of_an_account_keep_their_order
    an_invalidation_reaches_the_cache
    a_new_user_is_welcomed
    an_order_is_charged_shipped_and_reported
    visits_are_counted_in_batches
    the_slots_of_the_seed_keep_their_state
}
