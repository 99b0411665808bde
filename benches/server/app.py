"""The applications of the benchmark: one callable each."""

import hashlib
import time

HELLO = b"Hello, world!"
BIG = b"x" * (1 << 20)
KEYS = """REQUEST_METHOD PATH_INFO QUERY_STRING SERVER_NAME SERVER_PORT SERVER_PROTOCOL REMOTE_ADDR SCRIPT_NAME
    CONTENT_TYPE CONTENT_LENGTH HTTP_HOST HTTP_USER_AGENT HTTP_ACCEPT HTTP_ACCEPT_LANGUAGE HTTP_ACCEPT_ENCODING
    HTTP_REFERER HTTP_COOKIE HTTP_CACHE_CONTROL HTTP_DNT HTTP_X_FORWARDED_FOR""".split()


def answer(start_response, body):
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]


def hello(environ, start_response):
    return answer(start_response, HELLO)


def environ(environ, start_response):
    found = sum(key in environ for key in KEYS)
    return answer(start_response, b"%d" % found)


def big(environ, start_response):
    return answer(start_response, BIG)


def echo(environ, start_response):
    body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
    return answer(start_response, hashlib.sha1(body).hexdigest().encode())


def sleep(environ, start_response):
    time.sleep(0.01)
    return answer(start_response, HELLO)


def cpu(environ, start_response):
    """About a millisecond of Python: a fixed amount of work, not of time."""
    x = 0
    for i in range(36000):
        x = (x + i * 7) & 0xFFFF
    return answer(start_response, b"%d" % x)
