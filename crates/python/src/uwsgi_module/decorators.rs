//! `uwsgidecorators` for applications whose environment has no uWSGI to bring it.

use std::ffi::CStr;

use pyo3::ffi::c_str;
use pyo3::prelude::*;
use pyo3::types::PyDict;

const SOURCE: &str = include_str!("uwsgidecorators.py");

/// Comes last: an installed module of that name wins.
const FINDER: &CStr = c_str!(
    r#"
import sys
from _frozen_importlib import ModuleSpec

class Finder:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name == "uwsgidecorators":
            return ModuleSpec(name, Finder, origin="built into uwgate")

    @staticmethod
    def create_module(spec):
        return None

    @staticmethod
    def exec_module(module):
        exec(compile(source, "<uwgate>/uwsgidecorators.py", "exec", dont_inherit=True), module.__dict__)

sys.meta_path.append(Finder)
"#
);

/// Makes the module importable.
pub(super) fn offer(py: Python<'_>) -> PyResult<()> {
    let globals = PyDict::new(py);
    globals.set_item("source", SOURCE)?;
    py.run(FINDER, Some(&globals), None)
}
