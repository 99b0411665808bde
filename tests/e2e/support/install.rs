//! An installation that can be upgraded.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::paths;
use super::server::Kind;
use super::temp::TempDir;

/// An installation of its own: the binary and, of uwgate, the host module.
#[derive(Debug)]
pub struct Installed {
    kind: Kind,
    pub dir: TempDir,
}

impl Installed {
    pub fn new(kind: Kind) -> Self {
        let installed = Self {
            kind,
            dir: TempDir::new(),
        };
        if kind == Kind::Uwgate {
            let module = "libuwgate_python.so";
            let built = paths::uwgate().with_file_name("deps").join(module);
            fs::copy(built, installed.dir.join(module)).expect("the host module was built");
        }
        installed.upgrade();
        installed
    }

    pub fn program(&self) -> PathBuf {
        self.dir.join("server")
    }

    /// Puts another copy of the binary in the place of the one there is, as a package does.
    pub fn upgrade(&self) {
        self.put(&self.kind.program());
    }

    /// By a process of its own: what other threads start in this moment would inherit a file that is being written,
    /// and no program can be started from it meanwhile.
    fn put(&self, program: &Path) {
        let new = self.dir.join("server.new");
        let copied = Command::new("cp").arg(program).arg(&new).status();
        assert!(copied.expect("there is a cp").success());
        fs::rename(new, self.program()).expect("can be renamed");
    }

    /// Puts a program there that is none of ours.
    pub fn put_script(&self, text: &str) {
        let new = self.dir.write("script", text);
        fs::set_permissions(&new, fs::Permissions::from_mode(0o755)).expect("it is ours");
        self.put(&new);
    }
}
