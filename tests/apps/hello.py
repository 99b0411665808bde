"""The smallest application; also says who served the request."""
import os


def application(environ, start_response):
    body = b"Hello, world!"
    if environ["PATH_INFO"] == "/pid":
        body = str(os.getpid()).encode()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [body]
