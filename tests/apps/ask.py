"""Answers with the value of the Python expression that is the request's body, or with what it raised."""

import logging
import os
import random
import signal
import sys
import threading
import time

import uwsgi

HERE = os.path.dirname(os.path.abspath(__file__))


def at_load(expression):
    try:
        return repr(eval(expression))
    except Exception as error:
        return type(error).__name__


AT_LOAD = {
    expression: at_load(expression)
    for expression in [
        "uwsgi.worker_id()",
        "uwsgi.masterpid() == os.getpid() or uwsgi.masterpid() == os.getppid()",
        "uwsgi.ready()",
        "uwsgi.total_requests()",
        "uwsgi.lock(), uwsgi.is_locked(), uwsgi.unlock(), uwsgi.is_locked()",
        "uwsgi.is_connected(-1)",
        "threading.current_thread().name",
    ]
}
EVENTS = []


def wait_for(file):
    open(file + ".started", "w").close()
    while not os.path.exists(file):
        time.sleep(0.005)


def application(environ, start_response):
    expression = environ["wsgi.input"].read().decode()
    start_response("200 OK", [("Content-Type", "text/plain")])
    try:
        answer = repr(eval(expression))
    except Exception as error:
        answer = "%s: %s" % (type(error).__name__, error)
    return [answer.encode()]
