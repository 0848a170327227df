//! Middleware with another shape.

use poolder::prelude::*;

async fn function(cx: Context, next: Next<'_>) -> poolder::Result<Outcome> {
    next.run(cx).await
}

struct Mutable;

impl Middleware for Mutable {
    async fn call(&mut self, cx: Context, next: Next<'_>) -> poolder::Result<Outcome> {
        next.run(cx).await
    }
}

struct Nothing;

impl Middleware for Nothing {
    async fn call(&self, cx: Context, next: Next<'_>) {
        let _ = next.run(cx).await;
    }
}

fn main() {
    Pool::new("mail").middleware(function);
}
