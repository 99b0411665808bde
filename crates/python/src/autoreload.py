"""py-autoreload: looks whether the files of the imported modules have changed."""

import os
import sys
import time


def _loaded(ignored):
    """The source file of each module, with the module's name."""
    for name, module in list(sys.modules.items()):
        if name in ignored:
            continue
        try:
            path = module.__file__
        except Exception:
            continue
        if isinstance(path, str):
            yield (path[:-1] if path.endswith(".pyc") else path), name


def _beside(paths):
    """What else may be imported from where the application's own modules are."""
    installed = ("/site-packages/", "/dist-packages/", "/lib/python")
    own = {os.path.dirname(path) for path in paths if not any(part in path for part in installed)}
    for directory in own:
        try:
            entries = os.listdir(directory or ".")
        except OSError:
            continue
        for entry in entries:
            if entry.endswith(".py"):
                yield os.path.join(directory, entry), entry


def watch(seconds, ignored, since, changed):
    """Calls `changed(name, when)` for changes after `since`, all in nanoseconds since 1970; never returns."""
    seen = {}
    # Once a change was told, this process only goes on when the new code is broken; what would repair it may be a file
    # that was not imported here.
    wide = False
    while True:
        files = dict(_loaded(ignored))
        if wide:
            files = {**dict(_beside(files)), **files}
        for path, name in files.items():
            try:
                stat = os.stat(path)
            except OSError:
                continue
            before = seen.get(path)
            seen[path] = stat.st_mtime_ns
            if before is None:
                # Written after its import began, or before it was imported late: the code is new either way. A time
                # that is still to come only says that two clocks differ.
                modified = since < stat.st_mtime_ns <= time.time_ns()
            else:
                modified = before != stat.st_mtime_ns
            if modified:
                changed(name, max(stat.st_mtime_ns, stat.st_ctime_ns))
                wide = True
        time.sleep(seconds)
