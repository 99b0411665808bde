"""The decorators that work in this server: postfork, lock, thread, harakiri.

The others are here to say so when they are used, not when this module is imported.
"""

import functools
import threading

import uwsgi

_postfork_chain = []


def _run_postfork_chain():
    for hook in _postfork_chain:
        hook()


uwsgi.post_fork_hook = _run_postfork_chain


class postfork:
    """`@postfork`, or `@postfork(worker_id)`: runs in each worker (or in that one) once it is forked."""

    def __init__(self, target):
        self._function = target if callable(target) else None
        self._worker = 0 if callable(target) else target
        _postfork_chain.append(self)

    def __call__(self, *args, **kwargs):
        if self._function is None:
            (self._function,) = args
            return self
        if self._worker in (0, uwsgi.worker_id()):
            return self._function()


def lock(function):
    """`@lock`: one process and thread at a time, over all workers."""

    @functools.wraps(function)
    def locked(*args, **kwargs):
        uwsgi.lock()
        try:
            return function(*args, **kwargs)
        finally:
            uwsgi.unlock()

    return locked


def thread(function):
    """`@thread`: every call runs in a daemon thread of its own."""

    @functools.wraps(function)
    def started(*args, **kwargs):
        threading.Thread(target=function, args=args, kwargs=kwargs, daemon=True).start()
        return function

    return started


class harakiri:
    """`@harakiri(seconds)`: the worker is killed when a call takes longer."""

    def __init__(self, seconds):
        self._seconds = seconds

    def __call__(self, function):
        @functools.wraps(function)
        def limited(*args, **kwargs):
            uwsgi.set_user_harakiri(self._seconds)
            try:
                return function(*args, **kwargs)
            finally:
                uwsgi.set_user_harakiri(0)

        return limited


def _absent(name, instead):
    def unsupported(*args, **kwargs):
        raise NotImplementedError("uwsgidecorators.%s is not supported by uwgate; %s" % (name, instead))

    unsupported.__name__ = name
    return unsupported


for _names, _instead in [
    ("spool spoolraw spoolforever", "use a task queue such as Celery, RQ or Dramatiq"),
    ("mulefunc mule muleloop mulemsg farm farm_loop mulemsg_loop", "run such work as a process of its own"),
    ("signal timer rbtimer cron filemon", "use cron, systemd timers or a task queue"),
    ("rpc erlang", "call the other service over HTTP"),
]:
    for _name in _names.split():
        globals()[_name] = _absent(_name, _instead)
del _names, _instead, _name
