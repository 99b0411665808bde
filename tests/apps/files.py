"""wsgi.file_wrapper in all its uses. The environment variable FILE names the file."""
import io
import os

FILE = os.environ.get("FILE", __file__)
CLOSED = []


class Stream:
    """A file-like object without a descriptor."""

    def __init__(self, content):
        self.content = io.BytesIO(content)

    def read(self, size=-1):
        return self.content.read(size)

    def close(self):
        CLOSED.append("stream")


class Watched(io.FileIO):
    def close(self):
        if not self.closed:
            CLOSED.append("file")
        super().close()


def source(name):
    if name == "file":
        return open(FILE, "rb")
    if name == "offset":
        file = open(FILE, "rb")
        file.seek(1000)
        return file
    if name == "unbuffered":
        return Watched(FILE)
    if name == "bytes":
        return io.BytesIO(b"from memory")
    if name == "stream":
        return Stream(b"from a stream" * 1000)
    if name == "length":
        return open(FILE, "rb")
    raise LookupError(name)


def application(environ, start_response):
    name = environ["PATH_INFO"].lstrip("/")
    headers = [("Content-Type", "application/octet-stream")]
    if name == "closed":
        start_response("200 OK", headers)
        return [",".join(CLOSED).encode()]
    if name == "length":
        headers.append(("Content-Length", "100"))
    if name == "iterate":
        start_response("200 OK", headers)
        wrapper = environ["wsgi.file_wrapper"](Stream(b"from a stream"), 4)
        return [b"|".join(wrapper)]
    start_response("200 OK", headers)
    return environ["wsgi.file_wrapper"](source(name), 4096)
