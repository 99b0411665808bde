//! Bounds on one request.

/// Bounds on one request.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// Largest block of request variables in bytes, at most 65535.
    pub buffer_size: u32,
    /// uWSGI's size of the variable table; a request may carry twice as many variables.
    pub max_vars: u32,
    /// Largest request body in bytes; 0 is no limit.
    pub limit_post: u64,
    /// Read the whole body before the app is called, beyond so many bytes into a temporary file; 0 is off.
    pub post_buffering: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            buffer_size: 4096,
            max_vars: 64,
            limit_post: 0,
            post_buffering: 0,
        }
    }
}
