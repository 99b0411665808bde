"""peer.py SERVER APP PORT PROCESSES: servers that have no command of their own."""

import os
import signal
import sys

import app

server, name, port, processes = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
application = getattr(app, name)

if server == "fastwsgi":
    import fastwsgi

    fastwsgi.server.backlog = 1024
    fastwsgi.run(application, "127.0.0.1", port, 0, processes)
else:
    import bjoern

    bjoern.listen(application, "127.0.0.1", port)
    children = []
    for _ in range(processes - 1):
        child = os.fork()
        if child == 0:
            children = []
            break
        children.append(child)
    try:
        bjoern.run()
    finally:
        for child in children:
            os.kill(child, signal.SIGKILL)
