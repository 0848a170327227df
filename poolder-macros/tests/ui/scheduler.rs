//! What `#[scheduler]` says about mistakes.

use poolder_macros::scheduler;

struct Timings;

#[scheduler(
    name = "timings",
    jobs(
        february = "0 0 30 2 *",
        fields = "* * *",
        minute = "75 * * * *",
        weekday = "0 9 * * Mun",
        quartz = "0 0 L * *",
        zero = 0,
        none = "0s",
        bare = "5000",
        unit = "5 minutes",
        wrong = true,
        unquoted = 5s,
        february = "1h",
    )
)]
impl Timings {
    async fn february(&mut self) {}
    async fn handle_job(&mut self, _: &str, _: ()) {}
}

struct Settings;

#[scheduler(
    name = "a b",
    jobs(a = "1h"),
    zone = "Europe/Berln",
    overlap = "queue",
    missed = all(0, "1h"),
    lane = "front",
    jitter = "soon",
    policy(attempts = -1, backof = "1s", timeout = 0),
    queues = "q",
    size = 0
)]
impl Settings {
    async fn a(&mut self) {}
}

struct Methods;

#[scheduler(name = "methods", jobs(missing = "1h", plain = "1h", consumes = "1h", many = "1h",
    generic = "1h", handle_init = "1h"), missed = "all")]
impl Methods {
    fn plain(&mut self) {}
    async fn consumes(self) {}
    async fn many(&mut self, _a: u8, _b: u8) {}
    async fn generic<T>(&mut self) {}
    fn handle_init(&mut self) {}
}

struct Bare;

#[scheduler]
impl Bare {}

struct Empty;

#[scheduler(name = "empty", jobs(), policy = 5, retry(count = 5))]
impl Empty {}

struct Repeated;

#[scheduler(name = "repeated", jobs(a = "1h"), jobs(b = "1h"))]
impl Repeated {
    async fn a(&mut self) {}
}

struct Twice;

#[scheduler(
    name = "twice",
    cron = "* * * * *",
    every = "5s",
    jobs(a(cron = "* * * * *", every = "5s"), b = "* * * *", c = "0 0 * * Fry", timeout = "30s")
)]
impl Twice {
    async fn timeout(&mut self) {}
}

fn main() {}
