#![allow(dead_code, unused_imports)]
use poolder::prelude::*;
use serde::{Deserialize, Serialize};
use std::marker::PhantomData;
#[derive(Serialize, Deserialize, Job)]
#[job(kind = "sync.table")]
struct Sync<T> {
    rows: Vec<T>,
}
trait Store<T>: Clone + Send + 'static {
    fn put(&self, r: Vec<T>) -> impl Future<Output = Result<()>> + Send;
}
#[derive(Clone)]
struct W<S, T> {
    store: S,
    t: PhantomData<fn() -> T>,
}
impl<S: Store<T>, T: Serialize + serde::de::DeserializeOwned + Send + 'static> Worker for W<S, T> {
    type Job = Sync<T>;
    async fn handle_job(&mut self, j: Sync<T>, _: Context) -> Result<Outcome> {
        self.store.put(j.rows).await?;
        Ok(Done)
    }
}
fn main() {}
