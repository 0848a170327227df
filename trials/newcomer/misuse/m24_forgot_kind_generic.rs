#![allow(dead_code, unused_imports)]
use poolder::prelude::*;
use serde::{Deserialize, Serialize};
#[derive(Serialize, Deserialize, Job)]
struct A<T> {
    x: T,
}
#[derive(Serialize, Deserialize, Job)]
struct Borrow {
    x: std::rc::Rc<String>,
}
fn main() {}
