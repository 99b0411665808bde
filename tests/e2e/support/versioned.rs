//! An application of which there are several versions.

use super::{Kind, Server, Setup};
use crate::support::wait::until_true;

/// An app that tells its version, which stands in a file that it reads at import.
pub const VERSIONED: &str = "\
import os
HERE = os.path.dirname(os.path.abspath(__file__))
exec(open(os.path.join(HERE, 'version')).read())
def application(environ, start_response):
    start_response('200 OK', [])
    return [VERSION.encode()]
";

/// Two workers of version one.
pub fn versioned(kind: Kind) -> Setup {
    let setup = Setup::source(kind, VERSIONED).option("processes", 2);
    setup.write("version", "VERSION = 'one'");
    setup
}

/// Waits until any of the workers answers with this version.
pub fn wait_for_version(server: &Server, version: &str) {
    until_true(&format!("version {version}"), || {
        server.get("/").expect(200).text() == version
    });
}
