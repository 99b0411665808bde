def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"Hello from behind nginx, ", environ["REMOTE_ADDR"].encode(), b"\n"]
