//! The text that an origin names.

use std::collections::HashMap;
use std::sync::Arc;

use crate::origin::Origin;
use crate::read::source;
use crate::world::World;

/// The lines of the files that were asked for, as they stand there.
pub(super) struct Places<'w> {
    world: &'w World,
    files: HashMap<Arc<str>, Vec<String>>,
}

impl<'w> Places<'w> {
    pub(super) fn new(world: &'w World) -> Self {
        Self {
            world,
            files: HashMap::new(),
        }
    }

    /// The line itself; `None` for what is no line of a file that can be read again.
    pub(super) fn line(&mut self, origin: &Origin) -> Option<&str> {
        let Origin::File { path, line } = origin else {
            return None;
        };
        if &**path == "-" || path.contains("://") {
            return None;
        }
        let lines = self.files.entry(Arc::clone(path)).or_insert_with(|| {
            let text = source::text(self.world, path).unwrap_or_default();
            text.lines().map(str::to_owned).collect()
        });
        let index = usize::try_from(line.checked_sub(1)?).ok()?;
        lines.get(index).map(String::as_str)
    }

    /// Whether the line is a comment.
    pub(super) fn is_comment(&mut self, origin: &Origin) -> bool {
        let line = self.line(origin);
        line.is_some_and(|line| line.trim_start().starts_with([';', '#']))
    }
}
