use poolder_core::policy::decide::{Ending, decide};
use poolder_core::{
    Cause, Counters, Envelope, Facts, Failure, Format, Handle, RawJob, Timestamp, Timing, Verdict,
    Zone, payload,
};
use std::panic::catch_unwind;
use std::time::Duration;
#[derive(serde::Deserialize, Debug)]
#[expect(dead_code, reason = "it is only read")]
struct Deep {
    a: Option<Vec<String>>,
    m: Option<std::collections::HashMap<String, Vec<u64>>>,
    s: Option<Box<Self>>,
    b: Option<Vec<u8>>,
}
struct R(u64);
impl R {
    fn n(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
    fn below(&mut self, n: usize) -> usize {
        (self.n() % n.max(1) as u64) as usize
    }
}
fn main() {
    let secs: u64 = std::env::args().nth(1).map_or(60, |s| s.parse().unwrap());
    let mut seeds: Vec<Vec<u8>> = vec![];
    for d in ["golden", "corpus"] {
        for f in std::fs::read_dir(format!(
            "{}/poolder-core/tests/{d}",
            std::env::var("POOLDER").unwrap()
        ))
        .unwrap()
        {
            seeds.push(std::fs::read(f.unwrap().path()).unwrap());
        }
    }
    let crons = [
        "* * * * *",
        "*/5 0-23/2 1,15 * mon-fri",
        "0 0 29 2 *",
        "30 2 * * sun",
        "@daily",
        "0 0 0 31 12 *",
    ];
    std::panic::set_hook(Box::new(|i| eprintln!("PANIC {i}")));
    let mut r = R(0x9E3779B97F4A7C15 ^ std::process::id() as u64);
    let (at, mut n, mut ok) = (std::time::Instant::now(), 0u64, 0u64);
    let ints: [u64; 8] = [0, 1, 127, 255, 65535, u32::MAX as u64, i64::MAX as u64, u64::MAX];
    while at.elapsed() < Duration::from_secs(secs) {
        n += 1;
        let i = r.below(seeds.len());
        let mut b = seeds[i].clone();
        for _ in 0..r.below(6) {
            let p = r.below(b.len() + 1);
            match r.below(6) {
                0 => b.truncate(p),
                1 => b.insert(p, r.n() as u8),
                2 => {
                    let t = b[p..].to_vec();
                    b.extend(t);
                }
                3 => {
                    let v = ints[r.below(8)];
                    let mut t = vec![0xcf];
                    t.extend(v.to_be_bytes());
                    let tail = b.split_off(p);
                    b.extend(t);
                    b.extend(tail);
                }
                4 => {
                    let j = r.below(seeds.len());
                    let q = r.below(seeds[j].len() + 1);
                    b.truncate(p);
                    b.extend(&seeds[j][q..]);
                }
                _ => {
                    if p < b.len() {
                        b[p] = r.n() as u8;
                    }
                }
            }
        }
        // options built at random
        if r.below(3) == 0 {
            let mut o = vec![0x80u8];
            let k = r.below(8);
            o[0] |= k as u8;
            for _ in 0..k {
                o.push(0xa1);
                o.push(b"vabtwcesrk"[r.below(10)]);
                match r.below(4) {
                    0 => {
                        o.push(0xcf);
                        o.extend(ints[r.below(8)].to_be_bytes());
                    }
                    1 => {
                        o.push(0x81);
                        o.push(0xa1);
                        o.push(b"elfsp"[r.below(5)]);
                        o.push(0x92);
                        for _ in 0..2 {
                            o.push(0xcf);
                            o.extend(ints[r.below(8)].to_be_bytes());
                        }
                    }
                    2 => o.push(0xc0),
                    _ => o.push(r.n() as u8 & 0x7f),
                }
            }
            b = vec![1, 1 | (r.n() as u8 & 2)];
            b.extend([7; 16]);
            b.push(1);
            b.push(b'k');
            b.extend((o.len() as u16).to_be_bytes());
            b.extend(o);
            b.extend([0x83, 0xa1, b'a', 0xc0]);
        }
        let (x, y, z) = (r.n(), r.n(), r.n());
        let bad = catch_unwind(|| {
            let mut good = 0;
            if let Ok(e) = Envelope::parse(b.clone()) {
                good = 1;
                let p = e.policy();
                let _ = (
                    e.kind(),
                    e.key(),
                    e.tick().cloned(),
                    e.completion_kept(),
                    e.version(),
                    e.is_call(),
                );
                let mut c = Counters::default();
                c.failures = ints[(x % 8) as usize] as u32;
                c.crashes = ints[(y % 8) as usize] as u32;
                c.deliveries = ints[(z % 8) as usize];
                for j in [-1.0, 0.0, 1.0] {
                    for v in [Verdict::Policy, Verdict::Backoff(Duration::MAX), Verdict::RetryNow] {
                        for now in [
                            Timestamp::from_millis(i64::MIN),
                            Timestamp::from_millis(0),
                            Timestamp::from_millis(i64::MAX),
                        ] {
                            let took = std::time::Duration::MAX;
                            let facts = Facts { now, took, node: "n", jitter: j };
                            let _ = decide(
                                &p,
                                &c,
                                Ending::Failed(Failure::new(Cause::Error, "x"), v),
                                facts,
                            );
                            let _ = decide(&p, &c, Ending::Crashed("n".into()), facts);
                        }
                    }
                }
                c.failures = 0;
                let _ = payload::decode::<Deep>(e.raw_job());
                let _ = payload::decode::<poolder_core::BatchPayload>(e.raw_job());
                let _ = format!("{e:?}").len();
            }
            for format in [Format::Json, Format::MessagePack] {
                let mut raw = RawJob::new("k", &b);
                raw.format = format;
                let _ = payload::decode::<Deep>(raw);
            }
            let _ = std::str::from_utf8(&b).ok().map(|t| t.parse::<Handle>().is_ok());
            good
        });
        match bad {
            Ok(g) => ok += g,
            Err(_) => {
                println!("panic on {b:02x?}");
            }
        }
        if n % 50 == 0 {
            let mut t: Vec<u8> = crons[r.below(crons.len())].bytes().collect();
            for _ in 0..r.below(4) {
                let p = r.below(t.len() + 1);
                let ch = b"*/-,0123456789 LW#?adefjmnorstuw@"[r.below(33)];
                if r.below(2) == 0 {
                    t.insert(p, ch);
                } else if p < t.len() {
                    t[p] = ch;
                }
            }
            let s = String::from_utf8(t).unwrap();
            let began = std::time::Instant::now();
            let q = catch_unwind(|| {
                if let Ok(t) = s.parse::<Timing>() {
                    for z in ["UTC", "Europe/Berlin", "Pacific/Apia"] {
                        if let Ok(z) = z.parse::<Zone>() {
                            for a in [i64::MIN, -1, 0, 1_700_000_000_000, i64::MAX - 1] {
                                let _ = t.next(z, 0, a);
                            }
                        }
                    }
                }
            });
            if q.is_err() {
                println!("panic on cron {s:?}");
            }
            if began.elapsed() > Duration::from_millis(500) {
                println!("slow cron {s:?} {:?}", began.elapsed());
            }
        }
    }
    println!("{n} inputs, {ok} of them read as envelopes");
}
