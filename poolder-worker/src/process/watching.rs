//! Waits for values of `watch` channels. A channel whose sender is gone brings no more news: waits on
//! it do not end, so that a loop that waits for several events does not spin.

use std::future::pending;

use tokio::sync::watch;

/// Waits until the value has changed. Never ends once the sender is gone.
pub(crate) async fn changed<T>(receiver: &mut watch::Receiver<T>) {
    if receiver.changed().await.is_err() {
        pending::<()>().await;
    }
}

/// Waits until the value is `at_least` or more. Never ends once the sender is gone.
pub(crate) async fn reaches<T: PartialOrd>(receiver: &mut watch::Receiver<T>, at_least: T) {
    // The value that the channel lends must not be held across an await.
    if receiver.wait_for(|value| *value >= at_least).await.map(drop).is_err() {
        pending::<()>().await;
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Waker};

    use super::*;

    fn ends(wait: impl Future<Output = ()>) -> bool {
        pin!(wait).poll(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    #[test]
    fn only_news_end_a_wait_and_never_the_end_of_the_sender() {
        let (sender, mut receiver) = watch::channel(1);
        assert!(!ends(changed(&mut receiver)) && !ends(reaches(&mut receiver, 2)));
        sender.send_replace(2);
        assert!(ends(changed(&mut receiver)) && ends(reaches(&mut receiver, 2)));
        assert!(!ends(reaches(&mut receiver, 3)));
        drop(sender);
        assert!(!ends(changed(&mut receiver)) && !ends(reaches(&mut receiver, 3)));
        assert!(ends(reaches(&mut receiver, 2)), "the last value still counts");
    }
}
