"""An app that uses every part of the interface, inside wsgiref.validate: it raises at any breach
of PEP 3333 by the server or by the app. It looks at types with `type(x) is`, as strictly as can be.
"""
import sys
from wsgiref.validate import validator

TEXT = [("Content-Type", "text/plain")]


def read(environ, start_response):
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    start_response("200 OK", [*TEXT, ("Content-Length", str(len(body)))])
    return [body]


def lines(environ, start_response):
    body = environ["wsgi.input"]
    found = [body.readline(), body.readline(4), *body.readlines(8), *body]
    start_response("200 OK", TEXT)
    return found


def write(environ, start_response):
    write = start_response("200 OK", TEXT)
    write(b"written ")
    return [b"and returned"]


def stream(environ, start_response):
    start_response("200 OK", TEXT)
    yield b"in "
    yield b"pieces"


def errors(environ, start_response):
    errors = environ["wsgi.errors"]
    errors.write("written to wsgi.errors\n")
    errors.writelines(["and ", "as lines\n"])
    errors.flush()
    start_response("200 OK", TEXT)
    return [b"logged"]


def excuse(environ, start_response):
    try:
        raise ValueError("an excuse")
    except ValueError:
        start_response("500 Excused", TEXT, sys.exc_info())
    return [b"excused"]


def empty(environ, start_response):
    start_response("204 No Content", [])
    return []


def hello(environ, start_response):
    start_response("200 OK", TEXT)
    return [b"hello"]


def route(environ, start_response):
    return globals()[environ["PATH_INFO"].lstrip("/")](environ, start_response)


application = validator(route)
