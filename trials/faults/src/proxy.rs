//! A proxy between a client and a server.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A TCP proxy whose target and behaviour can be changed.
pub struct Proxy {
    pub port: u16,
    pub target: Arc<AtomicUsize>,
    /// New connections are accepted and never answered.
    pub hang_new: Arc<AtomicBool>,
    pub accepted: Arc<AtomicU64>,
    /// The delay of each chunk in ms, in each direction.
    pub delay: Arc<AtomicU64>,
    /// The limit in bytes per second, for each direction and connection; 0 for none.
    pub rate: Arc<AtomicU64>,
    cut: Arc<Mutex<Vec<TcpStream>>>,
}
impl Proxy {
    pub fn start(target: u16) -> Self {
        let l = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = l.local_addr().unwrap().port();
        let p = Self {
            port,
            target: Arc::new(AtomicUsize::new(target as usize)),
            hang_new: Arc::default(),
            accepted: Arc::default(),
            delay: Arc::default(),
            rate: Arc::default(),
            cut: Arc::default(),
        };
        let rate = p.rate.clone();
        let delay = p.delay.clone();
        let (t, h, a, cut) =
            (p.target.clone(), p.hang_new.clone(), p.accepted.clone(), p.cut.clone());
        std::thread::spawn(move || {
            let mut hung = vec![];
            for c in l.incoming() {
                let Ok(c) = c else { continue };
                a.fetch_add(1, Ordering::Relaxed);
                if h.load(Ordering::Relaxed) {
                    hung.push(c);
                    continue;
                }
                let Ok(s) = TcpStream::connect(("127.0.0.1", t.load(Ordering::Relaxed) as u16))
                else {
                    continue;
                };
                c.set_nodelay(true).unwrap();
                s.set_nodelay(true).unwrap();
                cut.lock().unwrap().push(c.try_clone().unwrap());
                cut.lock().unwrap().push(s.try_clone().unwrap());
                for (mut from, mut to) in [(c.try_clone().unwrap(), s.try_clone().unwrap()), (s, c)]
                {
                    let (delay, rate) = (delay.clone(), rate.clone());
                    std::thread::spawn(move || {
                        let mut b = vec![0; 65536];
                        while let Ok(n) = from.read(&mut b) {
                            if n == 0 {
                                break;
                            }
                            let d = delay.load(Ordering::Relaxed);
                            if d > 0 {
                                std::thread::sleep(Duration::from_millis(d));
                            }
                            let r = rate.load(Ordering::Relaxed);
                            if r > 0 {
                                std::thread::sleep(Duration::from_secs_f64(n as f64 / r as f64));
                            }
                            if to.write_all(&b[..n]).is_err() {
                                break;
                            }
                        }
                        let _ = to.shutdown(std::net::Shutdown::Both);
                        let _ = from.shutdown(std::net::Shutdown::Both);
                    });
                }
            }
        });
        p
    }
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port)
    }
    pub fn cut_all(&self) {
        for s in self.cut.lock().unwrap().drain(..) {
            let _ = s.shutdown(std::net::Shutdown::Both);
        }
    }
}
