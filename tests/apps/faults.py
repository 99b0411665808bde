"""Every way to break the rules: one function for each path. /last tells what the one before saw."""
import sys

TEXT = [("Content-Type", "text/plain")]
LAST = ["nothing"]


def note(text):
    LAST[0] = text


def last(environ, start_response):
    start_response("200 OK", TEXT)
    return [LAST[0].encode()]


def raise_at_call(environ, start_response):
    raise ValueError("raised before start_response")


def raise_after_start(environ, start_response):
    start_response("200 OK", TEXT)
    raise ValueError("raised after start_response")


def raise_in_generator(environ, start_response):
    """The head has not left when this is raised: nothing was yielded yet."""
    start_response("200 OK", TEXT)
    raise ValueError("raised before the first item")
    yield b""


def raise_in_the_middle(environ, start_response):
    start_response("200 OK", TEXT)
    yield b"the first part"
    raise ValueError("raised in the middle")


def raise_in_the_middle_with_length(environ, start_response):
    start_response("200 OK", [*TEXT, ("Content-Length", "100")])
    yield b"the first part"
    raise ValueError("raised in the middle")


def exit_at_call(environ, start_response):
    raise SystemExit("an app called sys.exit")


def return_none(environ, start_response):
    start_response("200 OK", TEXT)


def return_text(environ, start_response):
    start_response("200 OK", TEXT)
    return ["text, not bytes"]


def yield_text_later(environ, start_response):
    start_response("200 OK", TEXT)
    yield b"bytes first"
    yield "then text"


def return_number(environ, start_response):
    start_response("200 OK", TEXT)
    return 42


def never_started(environ, start_response):
    return [b"no start_response"]


def never_started_empty(environ, start_response):
    return []


def started_twice(environ, start_response):
    start_response("200 OK", TEXT)
    try:
        start_response("404 Not Found", TEXT)
        note("no error")
    except Exception as error:
        note(type(error).__name__)
    return [b"the first one counts"]


def excuse_after(environ, start_response):
    """start_response with exc_info when the head is gone: it must raise the exception again."""
    write = start_response("200 OK", TEXT)
    write(b"the head is out")
    try:
        raise KeyError("too late")
    except KeyError:
        try:
            start_response("500 Too Late", TEXT, sys.exc_info())
            note("no error")
        except BaseException as error:
            note(type(error).__name__)
            raise
    return []


def refused(environ, start_response, status="200 OK", headers=TEXT):
    """Notes how start_response took it; the app then goes on with a proper answer, if it may."""
    try:
        start_response(status, headers)
        note("no error")
    except Exception as error:
        note(type(error).__name__)
        start_response("500 Refused", TEXT, sys.exc_info())
        return [b"start_response refused it"]
    return [b"start_response took it"]


REFUSED = {
    "newline-in-value": dict(headers=[*TEXT, ("X-Evil", "a\r\nSet-Cookie: stolen=1")]),
    "bare-newline-in-value": dict(headers=[*TEXT, ("X-Evil", "a\nSet-Cookie: stolen=1")]),
    "bare-return-in-value": dict(headers=[*TEXT, ("X-Evil", "a\rSet-Cookie: stolen=1")]),
    "nul-in-value": dict(headers=[*TEXT, ("X-Evil", "a\0b")]),
    "newline-in-name": dict(headers=[*TEXT, ("X-Evil\r\nSet-Cookie", "stolen=1")]),
    "colon-in-name": dict(headers=[*TEXT, ("X:Evil", "a")]),
    "empty-name": dict(headers=[*TEXT, ("", "a")]),
    "space-in-name": dict(headers=[*TEXT, ("X Evil", "a")]),
    "bytes-name": dict(headers=[*TEXT, (b"X-Bytes", "a")]),
    "bytes-value": dict(headers=[*TEXT, ("X-Bytes", b"a")]),
    "number-value": dict(headers=[*TEXT, ("Content-Length", 3)]),
    "not-latin-1": dict(headers=[*TEXT, ("X-Snow", "\u2603")]),
    "triple-header": dict(headers=[*TEXT, ("X-Three", "a", "b")]),
    "headers-none": dict(headers=None),
    "newline-in-status": dict(status="200 OK\r\nSet-Cookie: stolen=1"),
    "short-status": dict(status="20"),
    "word-status": dict(status="Fine"),
    "four-digit-status": dict(status="2000 OK"),
    "bytes-status": dict(status=b"200 OK"),
    "status-100": dict(status="100 Continue"),
    "empty-status": dict(status=""),
    "connection-header": dict(headers=[*TEXT, ("Connection", "keep-alive")]),
    "transfer-encoding-header": dict(headers=[*TEXT, ("Transfer-Encoding", "chunked")]),
    "two-lengths": dict(headers=[*TEXT, ("Content-Length", "3"), ("Content-Length", "4")]),
    "word-length": dict(headers=[*TEXT, ("Content-Length", "three")]),
}


def too_long(environ, start_response):
    start_response("200 OK", [*TEXT, ("Content-Length", "5")])
    return [b"12345", b"67890"]


def too_short(environ, start_response):
    start_response("200 OK", [*TEXT, ("Content-Length", "100")])
    return [b"short"]


def body_with_head(environ, start_response):
    start_response("200 OK", TEXT)
    return [b"a body whatever the method is"]


def body_with_204(environ, start_response):
    start_response("204 No Content", TEXT)
    return [b"a body all the same"]


def body_with_304(environ, start_response):
    start_response("304 Not Modified", TEXT)
    return [b"a body all the same"]


def bare_bytes(environ, start_response):
    start_response("200 OK", TEXT)
    return b"not in a list"


def print_something(environ, start_response):
    print("printed to stdout", flush=True)
    print("printed to stderr", file=sys.stderr, flush=True)
    print("printed to wsgi.errors", file=environ["wsgi.errors"])
    environ["wsgi.errors"].writelines(["written ", "as lines\n"])
    environ["wsgi.errors"].flush()
    start_response("200 OK", TEXT)
    return [b"printed"]


def application(environ, start_response):
    name = environ["PATH_INFO"].lstrip("/")
    if name in REFUSED:
        return refused(environ, start_response, **REFUSED[name])
    return globals()[name.replace("-", "_")](environ, start_response)
