//! Rules of unique jobs that cannot hold.

use poolder_macros::Job;

#[derive(Job)]
#[job(unique)]
struct NoList {
    user: u64,
}

#[derive(Job)]
#[job(unique = "done")]
struct NoParentheses {
    user: u64,
}

#[derive(Job)]
#[job(unique(until = "end", window = 0, hold = "1d"))]
struct WrongValues {
    user: u64,
}

#[derive(Job)]
#[job(unique(until = "done", debounce = "5s", at_most = "1s", replace = 1))]
struct TwoEnds {
    user: u64,
}

#[derive(Job)]
#[job(unique(window = "1m", hold_for = "1d", at_most = "1m"))]
struct NoBound {
    user: u64,
}

#[derive(Job)]
#[job(unique(until = "start", keep = "last", replace = true))]
struct NotAtStart {
    user: u64,
}

#[derive(Job)]
#[job(unique(window = "1m", keep = "first"))]
struct NotWithin {
    user: u64,
}

#[derive(Job)]
#[job(unique(by = (user, mont)))]
struct WrongField {
    user: u64,
    month: u8,
}

#[derive(Job)]
#[job(unique(by = (0, 2, "user")))]
struct WrongNumber(u64, u64);

#[derive(Job)]
#[job(unique(by = user))]
enum OnTheEnum {
    First { user: u64 },
    #[job(unique(by = ()))]
    Second { user: u64 },
}

fn main() {}
