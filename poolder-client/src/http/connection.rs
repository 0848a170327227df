//! One connection: its request, the answer, and its end, each with a time limit.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::answer::HttpAnswer;
use super::request::{MAX_HEAD, RequestHead, read};

/// How long a client may take to send its request.
const REQUEST_LIMIT: Duration = Duration::from_secs(1);
/// How long it may take to make an answer and to send it.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);
/// How long the end of the client is awaited after the answer, and how many of its bytes are passed
/// over. A connection that is closed with unread bytes is reset, which may cost the answer.
const END_LIMIT: Duration = Duration::from_secs(1);
const MAX_REST: usize = 64 * 1_024;

/// Makes the answer to a request for a path.
pub(super) type Respond =
    Arc<dyn Fn(String) -> Pin<Box<dyn Future<Output = HttpAnswer> + Send>> + Send + Sync>;

/// Serves a connection until it is closed.
pub(super) async fn serve(mut stream: TcpStream, respond: Respond) {
    let (answer, wants_body) = match timeout(REQUEST_LIMIT, receive(&mut stream)).await {
        Ok(Some(Ok(RequestHead { path, wants_body }))) => {
            match timeout(ANSWER_LIMIT, respond(path)).await {
                Ok(answer) => (answer, wants_body),
                Err(_) => (HttpAnswer::text(503, "the answer took too long"), wants_body),
            }
        }
        Ok(Some(Err(refused))) => (refused, true),
        // The client has closed the connection.
        Ok(None) => return,
        Err(_) => (HttpAnswer::text(408, "the request took too long"), true),
    };
    let sending = async {
        stream.write_all(&answer.bytes(wants_body)).await?;
        stream.shutdown().await
    };
    if let Ok(Ok(())) = timeout(ANSWER_LIMIT, sending).await {
        let _ = timeout(END_LIMIT, pass_over(&mut stream)).await;
    }
}

/// Receives the head of a request, or the reason why it is refused. Returns `None` when the client
/// has closed the connection before.
async fn receive(stream: &mut TcpStream) -> Option<Result<RequestHead, HttpAnswer>> {
    let mut bytes = Vec::with_capacity(1_024);
    loop {
        match read(&bytes) {
            Ok(None) => {}
            Ok(Some(head)) => return Some(Ok(head)),
            Err(refused) => return Some(Err(refused)),
        }
        let room = MAX_HEAD.saturating_sub(bytes.len()) as u64;
        match (&mut *stream).take(room).read_buf(&mut bytes).await {
            Ok(0) | Err(_) => return None,
            Ok(_) => {}
        }
    }
}

/// Reads what the client still sends, until it closes the connection.
async fn pass_over(stream: &mut TcpStream) {
    let (mut rest, mut seen) = ([0; 4_096], 0);
    while seen < MAX_REST {
        match stream.read(&mut rest).await {
            Ok(0) | Err(_) => return,
            Ok(bytes) => seen += bytes,
        }
    }
}
