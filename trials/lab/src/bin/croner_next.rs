//! The same with croner.
use chrono::TimeZone;
use std::io::BufRead;
fn main() {
    for line in std::io::stdin().lock().lines() {
        let line = line.unwrap();
        let mut it = line.split('\t');
        let (e, z, a, n) =
            (it.next().unwrap(), it.next().unwrap(), it.next().unwrap(), it.next().unwrap());
        let after: i64 = a.parse().unwrap();
        let n: usize = n.parse().unwrap();
        let cron: croner::Cron = match e.parse() {
            Ok(t) => t,
            Err(w) => {
                println!("ERR {w}");
                continue;
            }
        };
        let zone: chrono_tz::Tz = z.parse().unwrap();
        let (mut at, mut out) = (zone.timestamp_millis_opt(after).unwrap(), vec![]);
        while out.len() < n {
            match cron.find_next_occurrence(&at, false) {
                Ok(t) if t > at => {
                    out.push(t.timestamp_millis().to_string());
                    at = t;
                }
                _ => break,
            }
        }
        println!("{}", out.join(" "));
    }
}
