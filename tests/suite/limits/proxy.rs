//! A proxy in front of a server that replaces the hashes of scripts by those of others.

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy, split};
use tokio::net::{TcpListener, TcpStream, UnixStream};

/// The bytes of a hash.
const HASH: usize = 40;

/// Starts a proxy to the server at this URL that replaces the first hash of each pair by the second
/// one. Returns its port. It ends with the runtime.
pub(super) async fn start(server: String, pairs: Vec<(String, String)>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let server = connect(&server).await;
            let (mut from_client, mut to_client) = client.into_split();
            let (mut from_server, mut to_server) = split(server);
            tokio::spawn(async move { copy(&mut from_server, &mut to_client).await });
            let pairs = pairs.clone();
            tokio::spawn(async move {
                let (mut held, mut read) = (vec![], vec![0; 1 << 16]);
                while let Ok(count @ 1..) = from_client.read(&mut read).await {
                    held.extend(&read[..count]);
                    for (hash, other) in &pairs {
                        replace(&mut held, hash.as_bytes(), other.as_bytes());
                    }
                    // The end may be the beginning of a hash.
                    let begins = |cut: &usize| {
                        let end = &held[held.len().saturating_sub(*cut)..];
                        pairs.iter().any(|(hash, _)| hash.as_bytes().starts_with(end))
                    };
                    let cut = (1..HASH).rev().filter(|cut| held.len() >= *cut).find(begins);
                    let rest = held.split_off(held.len() - cut.unwrap_or(0));
                    if to_server.write_all(&held).await.is_err() {
                        return;
                    }
                    held = rest;
                }
            });
        }
    });
    port
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

async fn connect(url: &str) -> Box<dyn Stream> {
    match url.strip_prefix("redis+unix://") {
        Some(path) => Box::new(UnixStream::connect(path).await.unwrap()),
        None => Box::new(TcpStream::connect(url.split('/').nth(2).unwrap()).await.unwrap()),
    }
}

fn replace(bytes: &mut [u8], from: &[u8], to: &[u8]) {
    let mut at = 0;
    while let Some(found) = bytes[at..].windows(from.len()).position(|window| window == from) {
        at += found;
        bytes[at..at + from.len()].copy_from_slice(to);
        at += from.len();
    }
}
