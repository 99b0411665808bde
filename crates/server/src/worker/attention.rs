//! What a host has to do on the first thread of its process, whichever threads serve.

use std::future::{Future, poll_fn};
use std::os::fd::AsFd;
use std::pin::pin;
use std::sync::Arc;

use super::engine::Engine;
use crate::host::Host;

/// Lets the host attend to what its descriptor announces, for as long as it is polled.
pub(crate) async fn attend<H: Host>(engine: Arc<Engine<H>>) {
    let Some(attention) = engine.host.attention() else {
        return;
    };
    let Ok(attention) = uwgate_sys::readiness::readable(Arc::new(attention)) else {
        return;
    };
    while let Ok(mut ready) = attention.readable().await {
        engine.host.attend(attention.get_ref().as_fd());
        ready.clear_ready();
    }
}

/// Runs `main` to its end, and `side` on the same thread as long as that takes.
pub(crate) async fn beside<T>(main: impl Future<Output = T>, side: impl Future<Output = ()>) -> T {
    let (mut main, mut side) = (pin!(main), pin!(side));
    let mut side_goes_on = true;
    poll_fn(|context| {
        if side_goes_on {
            side_goes_on = side.as_mut().poll(context).is_pending();
        }
        main.as_mut().poll(context)
    })
    .await
}
