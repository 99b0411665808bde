"""Runs uwsgitop on a terminal of its own until its screen shows what is wanted, then quits it.

uwsgitop.py PROGRAM ADDRESS WANTED...
"""
import fcntl
import os
import pty
import select
import struct
import sys
import termios
import time

DEADLINE = time.monotonic() + 30


def main(program, address, *wanted):
    child, screen = pty.fork()
    if child == 0:
        os.environ["TERM"] = "xterm"
        os.execv(sys.executable, [sys.executable, program, address])
    fcntl.ioctl(screen, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 200, 0, 0))
    shown = ""
    while not all(text in shown for text in wanted):
        if time.monotonic() > DEADLINE:
            sys.exit(f"not shown in time: {wanted}\n{shown}")
        if select.select([screen], [], [], 1)[0]:
            try:
                shown += os.read(screen, 65536).decode("utf-8", "replace")
            except OSError:
                sys.exit(f"uwsgitop ended:\n{shown}")
    os.write(screen, b"q")
    while select.select([screen], [], [], 5)[0]:
        try:
            if not os.read(screen, 65536):
                break
        except OSError:
            break
    _, status = os.waitpid(child, 0)
    sys.exit(os.waitstatus_to_exitcode(status))


main(*sys.argv[1:])
