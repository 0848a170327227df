//! Backoffs that are not allowed.

use poolder_macros::Job;

#[derive(Job)]
#[job(backoff = quadratic)]
struct UnknownWord;

#[derive(Job)]
#[job(backoff = cubic("1s", "1h"))]
struct UnknownForm;

#[derive(Job)]
#[job(backoff = exponential("1s"))]
struct NoCap;

#[derive(Job)]
#[job(backoff = exponential("0s", "1h"))]
struct NeverGrows;

#[derive(Job)]
#[job(backoff = linear("1h", "1s"))]
struct ShortCap;

#[derive(Job)]
#[job(backoff = fixed())]
struct NoWait;

#[derive(Job)]
#[job(backoff = polynomial("1s"))]
struct TooMuch;

#[derive(Job)]
#[job(backoff = [])]
struct EmptyList;

#[derive(Job)]
#[job(backoff = ["1s", "soon"])]
struct BadWait;

#[derive(Job)]
#[job(backoff = Backoff::Polynomial)]
struct NotAnExpression;

fn main() {}
