//! Reads lines `expression \t zone \t after_ms \t n`, prints the next n ticks in ms, or the error.
use poolder_cron::{Timing, Zone};
use std::io::BufRead;
fn main() {
    for line in std::io::stdin().lock().lines() {
        let line = line.unwrap();
        let mut it = line.split('\t');
        let (e, z, a, n) =
            (it.next().unwrap(), it.next().unwrap(), it.next().unwrap(), it.next().unwrap());
        let after: i64 = a.parse().unwrap();
        let n: usize = n.parse().unwrap();
        let timing: Timing = match e.parse() {
            Ok(t) => t,
            Err(w) => {
                println!("ERR {w}");
                continue;
            }
        };
        let zone: Zone = match z.parse() {
            Ok(t) => t,
            Err(w) => {
                println!("ERR {w}");
                continue;
            }
        };
        let (mut at, mut out) = (after, vec![]);
        while out.len() < n {
            match timing.next(zone, 0, at) {
                Some(t) => {
                    out.push(t.to_string());
                    at = t;
                }
                None => break,
            }
        }
        println!("{}", out.join(" "));
    }
}
