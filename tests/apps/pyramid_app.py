from pyramid.config import Configurator
from pyramid.response import FileResponse, Response


def hello(request):
    return Response("Hello from Pyramid", content_type="text/plain")


def body(request):
    return Response(request.body, content_type="application/octet-stream")


def stream(request):
    lines = (b"line %d\n" % number for number in range(1000))
    return Response(app_iter=lines, content_type="text/plain")


def download(request):
    return FileResponse(__file__, content_type="text/plain")


def error(request):
    raise RuntimeError("raised in a view")


with Configurator() as config:
    for name, path, view in [
        ("hello", "/", hello),
        ("body", "/body", body),
        ("stream", "/stream", stream),
        ("download", "/download", download),
        ("error", "/error", error),
    ]:
        config.add_route(name, path)
        config.add_view(view, route_name=name)
    application = config.make_wsgi_app()
