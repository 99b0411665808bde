//! Python's garbage collector while an application is loaded that workers will share.
//!
//! As Python itself advises (`gc.freeze`): no collection before the fork. It would look for the little garbage that
//! imports leave in all that they do not, which takes a fifth of the time in which Django is loaded, and its holes
//! between objects would be filled by each worker for itself.

use pyo3::prelude::*;
use pyo3::types::PyTuple;

/// With so many new objects the collector runs all the same: code that leaves garbage in a loop must find an end. It is
/// no number that an application would set, so one that has set another is left alone.
const PATIENCE: u32 = 100_003;

/// Holds the collector back between the two calls.
#[derive(Default)]
pub(crate) struct Collector {
    /// What `gc.get_threshold` said before.
    usual: Option<Py<PyTuple>>,
}

impl Collector {
    /// Has the collector wait.
    pub(crate) fn hold_back(&mut self, py: Python<'_>) -> PyResult<()> {
        let gc = py.import("gc")?;
        let usual = gc.call_method0("get_threshold")?.cast_into::<PyTuple>()?;
        // 0 is another way of saying that there is to be no collection.
        if usual.get_item(0)?.extract::<u32>()? != 0 {
            gc.call_method1("set_threshold", (PATIENCE,))?;
            self.usual = Some(usual.unbind());
        }
        Ok(())
    }

    /// Takes what is loaded out of the collector's sight, and lets it go about its work: pages that it never writes to
    /// stay shared.
    pub(crate) fn keep(&mut self, py: Python<'_>) -> PyResult<()> {
        let gc = py.import("gc")?;
        gc.call_method0("freeze")?;
        let Some(usual) = self.usual.take() else {
            return Ok(());
        };
        let now: u32 = gc.call_method0("get_threshold")?.get_item(0)?.extract()?;
        if now == PATIENCE {
            gc.call_method1("set_threshold", usual)?;
        }
        Ok(())
    }

    /// The same for what has come since [`keep`](Self::keep), without its garbage. Python's lists of objects to be
    /// used again are emptied as well: they lie all over the memory.
    pub(crate) fn keep_rest(py: Python<'_>) -> PyResult<()> {
        let gc = py.import("gc")?;
        // It looks only at what is not frozen.
        gc.call_method0("collect")?;
        gc.call_method0("freeze")?;
        Ok(())
    }
}
