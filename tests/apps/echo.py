"""Reads its input in the way that the path names, and answers with the repr of each piece.

/raw answers with the body itself; /ignore reads nothing; /N/... as in /read/7 gives the size.
"""
import hashlib


def every(read):
    """Calls until there is nothing more."""
    while piece := read():
        yield piece


def mixed(body):
    yield body.read(3)
    yield body.readline()
    yield body.read(2)
    yield from body
    yield body.read()
    yield body.readline()


def pieces(body, how, size):
    if how == "read":
        if size is None:
            return [body.read()]
        return every(lambda: body.read(size))
    if how == "readline":
        if size is None:
            return every(body.readline)
        return every(lambda: body.readline(size))
    if how == "readlines":
        return body.readlines() if size is None else every_list(lambda: body.readlines(size))
    if how == "iterate":
        return iter(body)
    if how == "past-end":
        return [body.read(), body.read(), body.read(5), body.readline()]
    if how == "mixed":
        return mixed(body)
    raise LookupError(how)


def every_list(readlines):
    while some := readlines():
        yield b"|".join(some)


def digest(body):
    sha = hashlib.sha256()
    count = 0
    for piece in every(lambda: body.read(65536)):
        sha.update(piece)
        count += len(piece)
    return f"{count} {sha.hexdigest()}".encode()


def application(environ, start_response):
    body = environ["wsgi.input"]
    how, _, size = environ["PATH_INFO"].lstrip("/").partition("/")
    kind = environ.get("CONTENT_TYPE") or "text/plain"
    if how == "raw":
        result = body.read()
    elif how == "ignore":
        result = b"ignored"
    elif how == "digest":
        result = digest(body)
    else:
        result = b"".join(b"%r\n" % piece for piece in pieces(body, how, int(size) if size else None))
    start_response("200 OK", [("Content-Type", kind), ("Content-Length", str(len(result)))])
    return [result]
