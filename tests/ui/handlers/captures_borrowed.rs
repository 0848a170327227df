//! A closure that borrows, and one whose future borrows from it.

use poolder::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Job)]
struct Welcome {
    user: u64,
}

fn main() {
    let letters = vec![String::new()];
    worker_fn(|_job: Welcome| async { println!("{}", letters.len()) });

    let letters = vec![String::new()];
    worker_fn(move |_job: Welcome| async { println!("{}", letters.len()) });
}
