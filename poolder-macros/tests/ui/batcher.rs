use poolder_macros::batcher;

#[batcher(limit = 5)]
struct NoName;

#[batcher(name = "a:b")]
struct BadName;

#[batcher(name = "a", limit = 0)]
struct NoLimit;

#[batcher(name = "a", limit = 1_000_001, max_bytes = 0, max_groups = "3", size = 0)]
struct BadNumbers;

#[batcher(name = "a", timeout = "10s", hibernate_after = "10s")]
struct SleepsTooSoon;

#[batcher(name = "a", hibernate_after = "5s")]
struct SleepsBeforeTheDefault;

#[batcher(name = "a", timeout = "0s", hibernate_after = 0)]
struct NoTime;

#[batcher(name = "a", timeout = "none", hibernate_after = "never")]
struct BadWords;

#[batcher(name = "a", lifo = "yes")]
struct BadReverse;

#[batcher(name = "a", retry(count = -1, backoff = "often", jitter = true), retry(count = 2))]
struct BadRetry;

#[batcher(name = "a", retry = 3)]
struct NoList;

#[batcher(name = "a", name = "b", size 2, callback = f)]
struct BadItems;

#[batcher(name = "a")]
struct Generic<T>(T);

#[batcher(name = "a")]
enum NoStruct {
    A,
}

// Infinity is above everything.
#[batcher(name = "a", limit = 0, timeout = "infinity", hibernate_after = "1s")]
struct OnlyTheLimitIsWrong;

fn main() {}
