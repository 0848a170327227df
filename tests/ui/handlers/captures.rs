//! Closures that cannot run for every job, or in every slot.

use std::rc::Rc;

use poolder::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Job)]
struct Welcome {
    user: u64,
}

struct Letters;

impl Letters {
    fn count(&self) -> usize {
        7
    }
}

fn main() {
    let letters = Letters;
    worker_fn(move |_job: Welcome| async move { drop(letters) });

    let letters = Letters;
    worker_fn(move |_job: Welcome| std::future::ready(println!("{}", letters.count())));

    let letters = Rc::new(1);
    worker_fn(move |_job: Welcome| std::future::ready(println!("{letters}")));
}
