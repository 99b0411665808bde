use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use pyo3::exceptions::PyStopIteration;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use uwgate_server::exchange::FileRange;

/// `wsgi.file_wrapper` (PEP 3333, "Optional Platform-Specific File Handling").
///
/// What is returned from the application is sent by the kernel if the object is a regular file, and read in blocks
/// otherwise; iterating it always reads.
#[pyclass(module = "uwsgi", name = "FileWrapper")]
pub(crate) struct FileWrapper {
    #[pyo3(get)]
    filelike: Py<PyAny>,
    #[pyo3(get)]
    blksize: usize,
}

#[pymethods]
impl FileWrapper {
    #[new]
    #[pyo3(signature = (filelike, blksize = 32768))]
    fn new(filelike: Py<PyAny>, blksize: usize) -> Self {
        let blksize = blksize.max(1);
        Self { filelike, blksize }
    }

    fn __iter__(this: PyRef<'_, Self>) -> PyRef<'_, Self> {
        this
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let block = self
            .filelike
            .bind(py)
            .call_method1("read", (self.blksize,))?;
        let ended = block
            .cast::<PyBytes>()
            .is_ok_and(|bytes| bytes.as_bytes().is_empty());
        match ended {
            true => Err(PyStopIteration::new_err(())),
            false => Ok(block),
        }
    }

    fn close(&self, py: Python<'_>) -> PyResult<()> {
        match self.filelike.bind(py).getattr_opt("close")? {
            Some(close) => close.call0().map(|_| ()),
            None => Ok(()),
        }
    }
}

impl FileWrapper {
    /// The rest of the file from its current position, if it is one that the kernel can send.
    pub(crate) fn range(&self, py: Python<'_>) -> Option<FileRange> {
        let file = self.filelike.bind(py);
        let number: i32 = file.call_method0("fileno").ok()?.extract().ok()?;
        let fd = duplicate(number)?;
        let stat = rustix::fs::fstat(&fd).ok()?;
        // The kernel's own files claim to be empty; only reading tells.
        if !rustix::fs::FileType::from_raw_mode(stat.st_mode).is_file() || stat.st_size == 0 {
            return None;
        }
        // A buffered reader is ahead of its descriptor; only it knows where it is.
        let offset: u64 = match file.getattr_opt("tell").ok()? {
            Some(tell) => tell.call0().ok()?.extract().ok()?,
            None => rustix::fs::tell(&fd).ok()?,
        };
        let left = u64::try_from(stat.st_size).ok()?.saturating_sub(offset);
        Some(FileRange {
            file: fd,
            offset,
            left,
        })
    }
}

/// A descriptor of our own: the application closes its file before the last byte is sent.
fn duplicate(number: i32) -> Option<OwnedFd> {
    if number < 0 {
        return None;
    }
    // SAFETY: only lent to the next call, which reports EBADF when it is not open.
    let borrowed = unsafe { BorrowedFd::borrow_raw(number) };
    borrowed.as_fd().try_clone_to_owned().ok()
}
