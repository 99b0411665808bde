//! The listen queues: how many connections wait, and whether the kernel turns new ones away.

use crate::listen::Listening;

/// Looks at all of them; warns of those that are full, in uWSGI's words. Returns the length of the longest.
pub(super) fn look(listeners: &[Listening]) -> u32 {
    let mut longest = 0;
    for (number, listening) in listeners.iter().enumerate() {
        let listener = &listening.listener;
        let Ok(Some(queue)) = listener.queue() else {
            continue;
        };
        longest = longest.max(queue.waiting);
        // The kernel takes one more than it was asked for.
        if queue.max > 0 && queue.waiting >= queue.max {
            tracing::warn!(
                "*** uWSGI listen queue of socket {number} \"{}\" full !!! ({}/{}) ***",
                listener.address,
                queue.waiting,
                queue.max
            );
        }
    }
    longest
}
