"""Somebody has asked for it."""


def application(environ, start_response):
    body = b"Hello from a vassal that was asleep\n"
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
