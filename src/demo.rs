//! What `uwgate` without arguments serves: an application that shows what it is and how to serve one's own.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

/// The application.
const APP: &str = include_str!("../demo/app.py");

const ADDRESS: &str = "127.0.0.1:8080";

/// Serves the demo until it is stopped.
pub(crate) fn run() -> ExitCode {
    let file = match write() {
        Ok(file) => file,
        Err(error) => {
            eprintln!("the demo application cannot be written: {error}");
            return ExitCode::FAILURE;
        }
    };
    println!("uwgate serves its demo on http://{ADDRESS}/ (Ctrl-C ends it).");
    println!("Your own: uwgate --http-socket {ADDRESS} --module PACKAGE.MODULE:APPLICATION");
    let mut args: Vec<OsString> = [
        "--http-socket",
        ADDRESS,
        "--master",
        "--need-app",
        "--wsgi-file",
    ]
    .map(OsString::from)
    .into();
    args.push(file.clone().into());
    let code = super::serve(args, super::Before::Nothing);
    // Nothing depends on it any more.
    let _ = std::fs::remove_file(&file);
    if let Some(dir) = file.parent() {
        let _ = std::fs::remove_dir(dir);
    }
    code
}

/// Python wants a file: tracebacks name it.
fn write() -> std::io::Result<PathBuf> {
    let dir = std::env::temp_dir().join(format!("uwgate-demo-{}", std::process::id()));
    std::fs::create_dir(&dir)?;
    let file = dir.join("app.py");
    std::fs::write(&file, APP)?;
    Ok(file)
}
