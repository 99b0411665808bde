"""Counts the calls of close(). /closed tells how often the bodies before it were closed."""
TEXT = [("Content-Type", "text/plain")]
CLOSED = []


class Body:
    def __init__(self, name, items, raise_at=None, raise_in_close=False):
        self.name, self.items = name, items
        self.raise_at, self.raise_in_close = raise_at, raise_in_close

    def __iter__(self):
        for number, item in enumerate(self.items):
            if number == self.raise_at:
                raise ValueError("raised at item %d" % number)
            yield item

    def close(self):
        CLOSED.append(self.name)
        if self.raise_in_close:
            raise ValueError("raised in close")


class Counted(Body):
    """With a length, as lists have: servers may treat those in another way."""

    def __len__(self):
        return len(self.items)


def endless():
    while True:
        yield b"x" * 65536


def application(environ, start_response):
    name = environ["PATH_INFO"].lstrip("/")
    if name == "closed":
        start_response("200 OK", TEXT)
        return [",".join(CLOSED).encode()]
    if name == "never-started":
        return Body(name, [b"x"])
    start_response("200 OK", TEXT)
    if name == "endless":
        return Endless(name)
    bodies = {
        "whole": Body(name, [b"a", b"b"]),
        "counted": Counted(name, [b"a"]),
        "empty": Body(name, []),
        "raise-first": Body(name, [b"a"], raise_at=0),
        "raise-later": Body(name, [b"a", b"b"], raise_at=1),
        "raise-in-close": Body(name, [b"a"], raise_in_close=True),
        "text": Body(name, ["text"]),
    }
    return bodies[name]


class Endless(Body):
    def __init__(self, name):
        super().__init__(name, endless())
