"""Takes its time. /sleep/0.5 sleeps, /until/FILE waits for a file, /drip sends a piece at a time."""
import os
import time

TEXT = [("Content-Type", "text/plain")]
DEADLINE = 60


def wait_for(file):
    """Ends when the test creates the file (or has died)."""
    deadline = time.monotonic() + DEADLINE
    while not os.path.exists(file) and time.monotonic() < deadline:
        time.sleep(0.005)


def drip(directory):
    """Yields piece N as soon as the test has made a file called N."""
    yield b"piece 0\n"
    for number in range(1, 4):
        wait_for(f"{directory}/{number}")
        yield b"piece %d\n" % number


def application(environ, start_response):
    how, _, argument = environ["PATH_INFO"].lstrip("/").partition("/")
    start_response("200 OK", TEXT)
    if how == "sleep":
        time.sleep(float(argument))
    elif how == "until":
        open(f"/{argument}.started", "w").close()
        wait_for(f"/{argument}")
    elif how == "drip":
        return drip(f"/{argument}")
    return [str(os.getpid()).encode()]
