"""Every way to answer that PEP 3333 allows: one function for each path."""
import sys

TEXT = [("Content-Type", "text/plain")]


def one_item(environ, start_response):
    start_response("200 OK", TEXT)
    return [b"one item"]


def several(environ, start_response):
    start_response("200 OK", TEXT)
    return [b"several ", b"", b"items", b""]


def generator(environ, start_response):
    start_response("200 OK", TEXT)
    yield b"first "
    yield b""
    yield b"second"


def late_generator(environ, start_response):
    """Calls start_response only when it is asked for the first item."""
    start_response("202 Accepted", [*TEXT, ("X-Late", "yes")])
    yield b"late"


def nothing(environ, start_response):
    start_response("200 OK", TEXT)
    return []


def empty_item(environ, start_response):
    start_response("200 OK", TEXT)
    return [b""]


NUMBERS = [b"%d," % i for i in range(20_000)]


def many_items(environ, start_response):
    start_response("200 OK", TEXT)
    return NUMBERS


def many_generated(environ, start_response):
    start_response("200 OK", TEXT)
    yield from NUMBERS


def many_written(environ, start_response):
    write = start_response("200 OK", TEXT)
    for number in NUMBERS[:10_000]:
        write(number)
    return NUMBERS[10_000:]


def write(environ, start_response):
    write = start_response("200 OK", TEXT)
    write(b"written ")
    write(b"")
    write(b"twice ")
    return [b"then returned"]


def write_only(environ, start_response):
    start_response("200 OK", TEXT)(b"written only")
    return []


def with_length(environ, start_response):
    start_response("200 OK", [*TEXT, ("Content-Length", "11")])
    return [b"eleven ", b"byte"]


def zero_length(environ, start_response):
    start_response("200 OK", [*TEXT, ("Content-Length", "0")])
    return []


def no_content(environ, start_response):
    start_response("204 No Content", [])
    return []


def not_modified(environ, start_response):
    start_response("304 Not Modified", [("ETag", '"x"')])
    return []


def redirect(environ, start_response):
    start_response("302 Found", [("Location", "/elsewhere"), *TEXT])
    return [b"elsewhere"]


def cookies(environ, start_response):
    start_response("200 OK", [*TEXT, ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2; Path=/")])
    return [b"two cookies"]


def odd_status(environ, start_response):
    start_response("299 Fine, thank you", TEXT)
    return [b"odd"]


def bare_status(environ, start_response):
    start_response("200 ", TEXT)
    return [b"no reason"]


def odd_headers(environ, start_response):
    start_response("200 OK", [*TEXT, ("x-lower", "a"), ("X-Empty", ""), ("X-Latin", "caf\xe9")])
    return [b"odd headers"]


def excuse_before(environ, start_response):
    """A second start_response with exc_info, while the first head has not left."""
    start_response("200 OK", [*TEXT, ("X-First", "yes")])
    try:
        raise ValueError("changed my mind")
    except ValueError:
        start_response("500 Changed My Mind", TEXT, sys.exc_info())
    return [b"an error page"]


class Item:
    """An iterator that is neither a list nor a generator."""

    def __init__(self, items):
        self.items = iter(items)

    def __iter__(self):
        return self

    def __next__(self):
        return next(self.items)


def iterator(environ, start_response):
    start_response("200 OK", TEXT)
    return Item([b"an ", b"iterator"])


def a_tuple(environ, start_response):
    start_response("200 OK", TEXT)
    return (b"a ", b"tuple")


def no_excuse(environ, start_response):
    start_response("200 OK", TEXT, None)
    return [b"exc_info is None"]


def big(environ, start_response):
    size = int(environ["QUERY_STRING"])
    start_response("200 OK", [*TEXT, ("Content-Length", str(size))])
    return [b"x" * size]


def big_stream(environ, start_response):
    """N pieces of 4 KiB without a length."""
    start_response("200 OK", TEXT)
    for number in range(int(environ["QUERY_STRING"])):
        yield b"%4095d\n" % number


def many_headers(environ, start_response):
    start_response("200 OK", [*TEXT, *((f"X-Header-{n}", "v" * 100) for n in range(200))])
    return [b"many headers"]


ROUTES = {
    "/" + name.replace("_", "-"): function
    for name, function in list(globals().items())
    if callable(function) and name not in ("Item", "application")
}


def application(environ, start_response):
    return ROUTES[environ["PATH_INFO"]](environ, start_response)
