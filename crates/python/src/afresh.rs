//! Exceptions of the application after which its process is to be replaced (`reload-on-exception` and its kin).

use pyo3::prelude::*;
use uwgate_config::options::Recycling;

/// Which exceptions.
#[derive(Debug, Default)]
pub(crate) struct Afresh {
    any: bool,
    types: Vec<String>,
    values: Vec<String>,
    reprs: Vec<String>,
}

impl Afresh {
    pub(crate) fn new(options: &Recycling) -> Self {
        let texts = |texts: &[uwgate_config::Located<String>]| -> Vec<String> {
            texts.iter().map(|text| text.value.clone()).collect()
        };
        Self {
            any: options.reload_on_exception,
            types: texts(&options.reload_on_exception_type),
            values: texts(&options.reload_on_exception_value),
            reprs: texts(&options.reload_on_exception_repr),
        }
    }

    /// Whether this is one. Classes are known by their name, with or without their module.
    pub(crate) fn is_wanted_after(&self, py: Python<'_>, error: &PyErr) -> bool {
        if self.any {
            return true;
        }
        if self.types.is_empty() && self.values.is_empty() && self.reprs.is_empty() {
            return false;
        }
        self.matches(py, error).unwrap_or_else(|problem| {
            crate::errors::log_exception(py, &problem);
            false
        })
    }

    fn matches(&self, py: Python<'_>, error: &PyErr) -> PyResult<bool> {
        let class = error.get_type(py);
        let name = class.name()?.to_string();
        let full = format!("{}.{name}", class.module()?);
        let value = error.value(py).str()?.to_string();
        let is_class = |text: &str| text == name || text == full;
        let is_repr = |text: &String| {
            let parts = text.split_once(':');
            parts.is_some_and(|(class, message)| is_class(class) && message.trim() == value)
        };
        Ok(self.types.iter().any(|text| is_class(text))
            || self.values.contains(&value)
            || self.reprs.iter().any(is_repr))
    }
}
