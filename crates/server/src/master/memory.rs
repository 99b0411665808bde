//! How much memory the workers take, for the options that ask for it.

use uwgate_config::Options;

use super::{Launcher, Master};

/// Whether an option needs to know.
pub(super) fn is_wanted(options: &Options) -> bool {
    super::cheaper::needs_memory(options) || super::recycling::needs_memory(options)
}

impl<L: Launcher> Master<'_, L> {
    /// Looks at the workers that serve.
    pub(super) fn measure_memory(&self) {
        if !self.memory_is_wanted {
            return;
        }
        if let Some(generation) = self.serving() {
            generation.measure_memory();
        }
    }
}
