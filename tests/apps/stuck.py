"""Requests that do not come to an end, each stuck in another way."""

import ctypes
import os
import re
import signal
import threading
import time

LOCK = threading.Lock()


def sleep():
    time.sleep(60)


def loop():
    number = 0
    while True:
        number += 1


def regex():
    # Holds the GIL for longer than anybody will wait.
    re.match(r"(a+)+$", "a" * 60 + "b")


def c_sleep():
    # PyDLL calls with the GIL held. A signal ends the C library's sleep early.
    libc = ctypes.PyDLL(None)
    while True:
        libc.sleep(60)


def lock():
    LOCK.acquire()
    LOCK.acquire()


STUCK = {"/" + f.__name__: f for f in (sleep, loop, regex, c_sleep, lock)}


def caught(start_response):
    try:
        time.sleep(60)
    except SystemExit:
        pass
    start_response("503 Service Unavailable", [("X-Pid", str(os.getpid()))])
    return [b"caught"]


def raise_exit(signum, frame):
    raise SystemExit(signum)


def stream(start_response):
    start_response("200 OK", [])
    yield b"some"
    time.sleep(60)


def flood(start_response):
    start_response("200 OK", [])
    for _ in range(100_000):
        yield b"x" * 10_000


def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path in STUCK:
        STUCK[path]()
    if path == "/handled":
        signal.signal(signal.SIGTERM, raise_exit)
        return caught(start_response)
    if path == "/interrupted":
        # In pieces, as an exception from outside waits for the next instruction.
        try:
            while True:
                time.sleep(0.05)
        except SystemExit:
            pass
        start_response("503 Service Unavailable", [])
        return [b"interrupted"]
    if path == "/wish":
        import uwsgi

        uwsgi.set_user_harakiri(1)
        time.sleep(60)
    if path == "/wished":
        import uwsgi

        uwsgi.set_user_harakiri(1)
    if path == "/unwished":
        import uwsgi

        uwsgi.set_user_harakiri(1)
        time.sleep(0.2)
        uwsgi.set_user_harakiri(0)
        time.sleep(1.5)
    if path == "/stream":
        return stream(start_response)
    if path == "/flood":
        return flood(start_response)
    if path == "/long":
        time.sleep(float(environ["QUERY_STRING"]))
    start_response("200 OK", [("X-Pid", str(os.getpid()))])
    return [b"fine"]
