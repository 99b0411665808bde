def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return ["This is the site: {SCRIPT_NAME!r} {PATH_INFO!r}\n".format(**environ).encode()]
