//! Figures: `workers()` and the counters.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyTuple};
use uwgate_server::scoreboard::Core;
use uwgate_sys::process::{self, Pid};

use super::Instance;
use super::instance::finished;

/// See the module's page, docs/python-api.md.
#[pyclass(name = "Workers", module = "uwsgi", frozen)]
pub(super) struct Workers(pub(super) Arc<Instance>);

#[pymethods]
impl Workers {
    /// A dict for each worker.
    fn workers<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let numbers = 1..=self.0.scoreboard.workers();
        let workers = numbers.map(|number| self.worker(py, number));
        PyTuple::new(py, workers.collect::<PyResult<Vec<_>>>()?)
    }

    /// Requests that the instance has answered.
    fn total_requests(&self) -> u64 {
        let scoreboard = &self.0.scoreboard;
        let workers = 1..=scoreboard.workers();
        workers.map(|it| finished(scoreboard.worker(it))).sum()
    }

    /// Requests that this core has answered, in all lives of its worker.
    fn request_id(&self) -> u64 {
        let (scoreboard, core) = (&self.0.scoreboard, uwgate_server::worker::core());
        let lines = scoreboard.worker(self.0.worker());
        let cores = self.0.options.workers.threads.max(1);
        let of_this = lines.iter().skip(core).step_by(cores as usize);
        self.0.row().map_or(0, |_| finished(of_this))
    }
}

impl Workers {
    fn worker<'py>(&self, py: Python<'py>, number: u32) -> PyResult<Bound<'py, PyDict>> {
        let lines = self.0.scoreboard.worker(number);
        let Some(seat) = self.0.scoreboard.seat(number) else {
            return Ok(PyDict::new(py));
        };
        let sum = |figure: fn(&Core) -> &AtomicU64| -> u64 {
            lines.iter().map(|core| load(figure(core))).sum()
        };
        let requests = finished(lines);
        let running = sum(|core| &core.running);
        // The master may not have heard of us yet, or there is none.
        let pid = match load(&seat.pid) {
            0 if number == self.0.worker() => u64::from(std::process::id()),
            pid => pid,
        };
        let dict = PyDict::new(py);
        dict.set_item("id", number)?;
        dict.set_item("pid", pid)?;
        dict.set_item("requests", requests)?;
        let before = load(&seat.requests_before);
        dict.set_item("delta_requests", requests.saturating_sub(before))?;
        dict.set_item("signals", 0)?;
        dict.set_item("exceptions", sum(|core| &core.exceptions))?;
        let busy = lines.iter().any(|core| load(&core.busy_since) != 0);
        let status: &[u8] = match (load(&seat.cheap), busy) {
            (1, _) => b"cheap",
            (_, true) => b"busy",
            (_, false) => b"idle",
        };
        dict.set_item("status", PyBytes::new(py, status))?;
        let memory = i32::try_from(pid)
            .ok()
            .and_then(Pid::from_raw)
            .map(process::memory);
        let memory = memory.and_then(Result::ok);
        dict.set_item("rss", memory.map_or(0, |memory| memory.rss))?;
        dict.set_item("vsz", memory.map_or(0, |memory| memory.vsz))?;
        dict.set_item("running_time", running)?;
        dict.set_item("last_spawn", load(&seat.last_spawn))?;
        dict.set_item("respawn_count", load(&seat.respawns))?;
        dict.set_item("tx", sum(|core| &core.sent))?;
        dict.set_item("avg_rt", running / requests.max(1))?;
        dict.set_item(
            "apps",
            self.apps(py, number, requests, sum(|core| &core.exceptions))?,
        )?;
        Ok(dict)
    }

    /// A single application has done all that its worker has.
    fn apps<'py>(
        &self,
        py: Python<'py>,
        worker: u32,
        requests: u64,
        exceptions: u64,
    ) -> PyResult<Bound<'py, PyTuple>> {
        let apps = self.0.apps();
        let alone = apps.len() == 1;
        let dicts = (0..).zip(apps).map(|(id, app)| {
            let (requests, exceptions) = match self.0.scoreboard.tally(worker, id) {
                _ if alone => (requests, exceptions),
                Some(tally) => (load(&tally.requests), load(&tally.exceptions)),
                None => (0, 0),
            };
            let startup = self.0.scoreboard.tally(worker, id);
            let dict = PyDict::new(py);
            dict.set_item("id", id)?;
            dict.set_item("modifier1", 0)?;
            dict.set_item("mountpoint", PyBytes::new(py, app.mountpoint.as_bytes()))?;
            dict.set_item("startup_time", startup.map_or(0, |it| load(&it.startup)))?;
            dict.set_item("interpreter", crate::load::interpreter())?;
            dict.set_item("callable", app.callable)?;
            dict.set_item("requests", requests)?;
            dict.set_item("exceptions", exceptions)?;
            dict.set_item("chdir", PyBytes::new(py, b""))?;
            Ok(dict)
        });
        PyTuple::new(py, dicts.collect::<PyResult<Vec<_>>>()?)
    }
}

fn load(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}
