//! Times that are not allowed.

use poolder_macros::Job;

#[derive(Job)]
#[job(timeout = 0, retry_for = "0s")]
struct Zero;

#[derive(Job)]
#[job(timeout = "30", retry_for = "5 minutes")]
struct Units;

#[derive(Job)]
#[job(timeout = "1.5h", retry_for = "30s 1m")]
struct Forms;

#[derive(Job)]
#[job(timeout = 30s, retry_for = none)]
struct Unquoted;

#[derive(Job)]
#[job(timeout = "", retry_for = "100000d")]
struct Bounds;

#[derive(Job)]
#[job(backoff = "none")]
struct NoBackoff;

#[derive(Job)]
#[job(expires = 0)]
struct NoStart;

#[derive(Job)]
#[job(expires_in = "10m")]
struct NameOfTheMethod;

fn main() {}
