"""Answers with its environ: one line for each key, with the type and the repr of the value."""


def lines(environ):
    for key, value in sorted(environ.items()):
        kind = type(value)
        shown = repr(value)
        if key in ("wsgi.input", "wsgi.errors", "wsgi.file_wrapper"):
            shown = "callable" if callable(value) else "object"
            kind = None  # what it is called differs from server to server
        yield f"{key}\t{kind.__name__ if kind else '-'}\t{shown}\n"


def application(environ, start_response):
    if environ["PATH_INFO"] == "/type":
        text = type(environ).__name__
    elif environ["PATH_INFO"] == "/wild":
        # Apps treat it as their own: what one request leaves must not reach the next.
        text = str(environ.get("left.behind"))
        environ["left.behind"] = "something"
        for key in [key for key in environ if key.startswith("HTTP_")]:
            del environ[key]
    else:
        text = "".join(lines(environ))
    start_response("200 OK", [("Content-Type", "text/plain; charset=utf-8")])
    return [text.encode("utf-8", "backslashreplace")]
