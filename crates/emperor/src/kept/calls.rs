//! The place where vassals call that have outlived their emperor.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::{sleep, timeout};
use uwgate_server::homage::Homage;
use uwgate_sys::channel::Channel;
use uwgate_sys::meeting::Meeting;
use uwgate_sys::readiness::readable;

use crate::happenings::Happening;

/// So many callers are heard at a time; any user may call.
const CALLERS: usize = 64;

/// How long a caller may take to say what it has to.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long to leave the queue alone when the process has no file descriptors left.
const OUT_OF_RESOURCES: Duration = Duration::from_millis(250);

/// Passes on who calls, for ever. Must be called in a runtime.
pub(super) fn follow(meeting: Meeting, sender: UnboundedSender<Happening>) -> io::Result<()> {
    let queue = readable(Arc::clone(meeting.fd()))?;
    let places = Arc::new(Semaphore::new(CALLERS));
    tokio::spawn(async move {
        loop {
            let Ok(mut ready) = queue.readable().await else {
                return;
            };
            let Ok(place) = Arc::clone(&places).acquire_owned().await else {
                return;
            };
            match meeting.accept() {
                Ok(None) => ready.clear_ready(),
                Ok(Some((channel, peer))) => {
                    let sender = sender.clone();
                    tokio::spawn(async move {
                        if let (Some(pid), Some(homage)) = (peer.pid, hear(channel).await) {
                            let _ = sender.send(Happening::Homage { pid, homage });
                        }
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!("[emperor] cannot hear a vassal that calls: {error}");
                    sleep(OUT_OF_RESOURCES).await;
                }
            }
        }
    });
    Ok(())
}

/// What a caller says. Only a vassal that says something is answered, by the dialogue that it hands over.
async fn hear(channel: Channel) -> Option<Box<Homage>> {
    let channel = readable(channel).ok()?;
    timeout(PATIENCE, channel.readable())
        .await
        .ok()?
        .ok()?
        .retain_ready();
    Homage::receive(channel.get_ref()).ok().map(Box::new)
}
