//! The thread that accepts connections.

use std::collections::VecDeque;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use poolder_core::Error;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::{AbortHandle, JoinSet};

use super::answer::HttpAnswer;
use super::connection::{Respond, serve};

/// The number of connections at a time. The oldest is closed when one more comes, so that slow
/// clients do not keep a probe waiting.
const MAX_CONNECTIONS: usize = 64;
/// The pause after a connection that could not be accepted, as when files have run out.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// A listener that answers GET requests. It has a thread and a runtime of its own, so that it
/// answers while handlers block all threads of another runtime. It ends when it is dropped.
#[derive(Debug)]
pub struct HttpListener {
    address: SocketAddr,
    /// Dropped to end the thread.
    _stop: oneshot::Sender<()>,
    ended: oneshot::Receiver<()>,
}

impl HttpListener {
    /// Listens on an address such as `0.0.0.0:9636`; with port 0 the system chooses one. `respond`
    /// makes the answer to a request for a path; one that panics closes the connection.
    ///
    /// # Errors
    /// [`Error::is_invalid`] for an address that is wrong, in use, or not permitted.
    pub async fn bind<F, R>(address: &str, respond: F) -> Result<Self, Error>
    where
        F: Fn(String) -> R + Send + Sync + 'static,
        R: Future<Output = HttpAnswer> + Send + 'static,
    {
        let respond: Respond = Arc::new(move |path| Box::pin(respond(path)));
        let ((bound, is_bound), (stop, stopped)) = (oneshot::channel(), oneshot::channel());
        let (end, ended) = oneshot::channel();
        let cannot = |error: String| Error::invalid(format!("cannot listen on {address}: {error}"));
        let listens_on = address.to_owned();
        std::thread::Builder::new()
            .name("poolder-http".into())
            .spawn(move || {
                listen(&listens_on, bound, stopped, &respond);
                let _ = end.send(());
            })
            .map_err(|error| cannot(error.to_string()))?;
        let address = is_bound.await.unwrap_or_else(|_| Err("its thread has ended".into()));
        Ok(Self { address: address.map_err(cannot)?, _stop: stop, ended })
    }

    /// Returns the address on which it listens, with the port that the system has chosen.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends the listener, and waits until its port is free.
    pub async fn close(self) {
        let Self { _stop: stop, ended, .. } = self;
        drop(stop);
        let _ = ended.await;
    }
}

/// Listens until it is stopped, and first tells the address, or why it cannot listen.
fn listen(
    address: &str,
    bound: oneshot::Sender<Result<SocketAddr, String>>,
    stopped: oneshot::Receiver<()>,
    respond: &Respond,
) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            let _ = bound.send(Err(error.to_string()));
            return;
        }
    };
    runtime.block_on(async {
        let listener = TcpListener::bind(address).await;
        let listens_on = listener.and_then(|listener| Ok((listener.local_addr()?, listener)));
        match listens_on {
            Ok((address, listener)) => {
                if bound.send(Ok(address)).is_ok() {
                    tokio::select! {
                        () = accept(&listener, respond) => {}
                        _ = stopped => {}
                    }
                }
            }
            Err(error) => {
                let _ = bound.send(Err(error.to_string()));
            }
        }
    });
}

/// Accepts connections, and serves a bounded number of them at a time.
async fn accept(listener: &TcpListener, respond: &Respond) {
    let mut connections = JoinSet::new();
    // The oldest first.
    let mut open: VecDeque<AbortHandle> = VecDeque::new();
    loop {
        tokio::select! {
            Some(_) = connections.join_next() => open.retain(|connection| !connection.is_finished()),
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    if open.len() == MAX_CONNECTIONS && let Some(oldest) = open.pop_front() {
                        oldest.abort();
                    }
                    open.push_back(connections.spawn(serve(stream, Arc::clone(respond))));
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    use super::*;

    async fn listener() -> HttpListener {
        let echo = |path: String| async move { HttpAnswer::text(200, path) };
        HttpListener::bind("127.0.0.1:0", echo).await.unwrap()
    }

    /// Sends bytes and returns the whole answer.
    async fn exchange(address: SocketAddr, request: &[u8]) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn a_request_is_answered_and_the_connection_closed() {
        let listener = listener().await;
        let answer = exchange(listener.address(), b"GET /a?b HTTP/1.1\r\nHost: c\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\n/a\n"));
        let head = exchange(listener.address(), b"HEAD /a HTTP/1.1\r\n\r\n").await;
        assert!(head.contains("Content-Length: 3\r\n") && head.ends_with("\r\n\r\n"), "{head}");
    }

    #[tokio::test]
    async fn a_refused_request_gets_its_answer_though_bytes_are_left_unread() {
        let listener = listener().await;
        let mut long = b"GET /".to_vec();
        long.resize(60_000, b'a');
        let answer = exchange(listener.address(), &long).await;
        assert!(answer.starts_with("HTTP/1.1 414 "), "{answer}");
        let body = [&b"POST / HTTP/1.1\r\nContent-Length: 40000\r\n\r\n"[..], &[b'x'; 40_000]];
        let answer = exchange(listener.address(), &body.concat()).await;
        assert!(answer.starts_with("HTTP/1.1 405 "), "{answer}");
    }

    #[tokio::test]
    async fn a_slow_client_is_told_so() {
        let listener = listener().await;
        let answer = exchange(listener.address(), b"GET /a HTTP/1.1\r\nHost:").await;
        assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    }

    #[tokio::test]
    async fn many_idle_connections_keep_no_request_waiting() {
        let listener = listener().await;
        let mut idle = vec![];
        for _ in 0..3 * MAX_CONNECTIONS {
            idle.push(TcpStream::connect(listener.address()).await.unwrap());
        }
        let begin = Instant::now();
        let answer = exchange(listener.address(), b"GET /a HTTP/1.1\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        // The oldest were closed without an answer, long before their time was over.
        let mut byte = [0];
        assert!(matches!(idle[0].read(&mut byte).await, Ok(0) | Err(_)));
        assert!(begin.elapsed() < Duration::from_secs(30));
    }

    #[tokio::test]
    async fn a_port_in_use_is_refused_and_free_again_once_its_listener_is_closed() {
        let listener = listener().await;
        let address = listener.address().to_string();
        let again = || HttpListener::bind(&address, |path| async { HttpAnswer::text(200, path) });
        let error = again().await.unwrap_err();
        assert!(error.is_invalid(), "{error}");
        assert!(error.to_string().starts_with(&format!("cannot listen on {address}: ")), "{error}");
        listener.close().await;
        again().await.unwrap();
        for wrong in ["", "9636", "127.0.0.1", "127.0.0.1:99999", "no such host:1"] {
            let answer = |path| async { HttpAnswer::text(200, path) };
            assert!(HttpListener::bind(wrong, answer).await.unwrap_err().is_invalid(), "{wrong:?}");
        }
    }
}
