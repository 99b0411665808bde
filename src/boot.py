import sys

if sys.version_info < (3, 10):
    sys.exit("Python %d.%d (%s): uwgate needs 3.10 or later" % (sys.version_info[0], sys.version_info[1], sys.executable))

from _frozen_importlib import ModuleSpec
from _frozen_importlib_external import ExtensionFileLoader

built_for, exact, any_version, word, command_line = sys.argv[1:]
version = "%d.%d" % sys.version_info[:2]
path = exact if version == built_for and exact else any_version
if not path:
    sys.exit(
        "uwgate has no host module for Python %s (%s), only for %s. Build one that fits every version: "
        "cargo build --release -p uwgate-python --features abi3, and put it beside the executable as "
        "uwgate_host.abi3.so" % (version, sys.executable, built_for)
    )
loader = ExtensionFileLoader("uwgate_host", path)
spec = ModuleSpec("uwgate_host", loader, origin=path)
host = loader.create_module(spec)
loader.exec_module(host)
host.run(word, command_line)
