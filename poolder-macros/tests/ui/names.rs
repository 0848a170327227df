//! Kinds and queues that are not allowed.

use poolder_macros::Job;

#[derive(Job)]
#[job(kind = "email welcome", queue = "mail:{0}")]
struct Illegal;

#[derive(Job)]
#[job(kind = "", queue = "")]
struct Empty;

#[derive(Job)]
#[job(
    kind = "a.very.long.kind.a.very.long.kind.a.very.long.kind.a.very.long.kind.a.very.long.kind.a.very.long.kind.a.very.long.kind.a.very.lon",
    queue = "a.very.long.queue.a.very.long.queue.a.very.long.queue.a.very.lo.x"
)]
struct Long;

#[derive(Job)]
#[job(kind = 7, queue = mail, crate = poolder)]
struct NoText;

#[derive(Job)]
#[job(crate = "not a path")]
struct NoPath;

#[derive(Job)]
struct Grüße;

#[derive(Job)]
#[job(kind = "media!")]
enum Prefix {
    FollowsFromThePrefixAndIsNotReportedAgain,
    #[job(kind = "fine")]
    HasItsOwn,
    #[job(kind = "not fine")]
    HasItsOwnToo,
}

#[derive(Job)]
#[job(
    kind = "a.very.long.prefix.a.very.long.prefix.a.very.long.prefix.a.very.long.prefix.a.very.long.prefix.a.very.long.prefix"
)]
enum LongWithVariant {
    Short,
    NoLongerShort,
}

#[derive(Job)]
enum Twice {
    SendMail,
    #[job(kind = "other")]
    Other,
    #[job(kind = "twice.send_mail")]
    Named,
    SendMAIL,
    #[job(kind = "other")]
    Another,
}

fn main() {}
