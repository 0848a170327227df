//! A client whose runtime is gone.

use std::time::Instant;

use crate::harness::*;

/// redis-rs: a client whose runtime is gone, used from another one.
#[test]
fn client_across_runtimes() {
    let space = {
        let rt = tokio::runtime::Runtime::new().unwrap();
        rt.block_on(async {
            let sp = Space::new("rt");
            sp.client.enqueue(N(1)).await.unwrap();
            sp.client.enqueue(N(1)).after(s(60)).await.unwrap();
            sp
        })
    };
    for round in 0..3 {
        let rt = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let t = Instant::now();
        let r = rt.block_on(async {
            tokio::time::timeout(s(10), async {
                let a = space.client.enqueue(N(2)).await.map(|r| r.stored);
                let b = space.client.inspect("q").overview().await.map(|v| v.ready());
                (a, b)
            })
            .await
        });
        let ok = matches!(&r, Ok((Ok(_), Ok(_))));
        report(
            &format!("client in another runtime, round {round}"),
            ok,
            format!("{r:?} in {:?}", t.elapsed()),
        );
    }
    // one that stays, beside one that comes and goes
    let stay = tokio::runtime::Runtime::new().unwrap();
    for round in 0..2 {
        let go = tokio::runtime::Runtime::new().unwrap();
        let a = go.block_on(async { space.client.enqueue(N(3)).await.map(|_| ()) });
        drop(go);
        let b = stay.block_on(async {
            tokio::time::timeout(s(8), async { space.client.enqueue(N(4)).await.map(|_| ()) }).await
        });
        report(
            &format!("client between two runtimes, round {round}"),
            a.is_ok() && matches!(b, Ok(Ok(_))),
            format!("{a:?} {b:?}"),
        );
    }
}
