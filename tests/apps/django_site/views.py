import hashlib

from django.http import FileResponse, HttpResponse, JsonResponse, StreamingHttpResponse
from django.middleware.csrf import get_token
from django.views.decorators.csrf import csrf_exempt


def hello(request):
    return HttpResponse("Hello from Django", content_type="text/plain")


def upload(request):
    """GET hands out a CSRF token; POST answers with what was uploaded."""
    if request.method == "GET":
        return HttpResponse(get_token(request), content_type="text/plain")
    file = request.FILES["file"]
    digest = hashlib.sha256()
    for chunk in file.chunks():
        digest.update(chunk)
    return JsonResponse(
        {
            "name": file.name,
            "size": file.size,
            "sha256": digest.hexdigest(),
            "field": request.POST["field"],
        }
    )


def stream(request):
    return StreamingHttpResponse((f"line {n}\n" for n in range(1000)), content_type="text/plain")


def download(request):
    return FileResponse(open(__file__, "rb"), as_attachment=True, filename="views.py")


def session(request):
    request.session["count"] = request.session.get("count", 0) + 1
    return HttpResponse(str(request.session["count"]), content_type="text/plain")


def named(request, name):
    return HttpResponse(f"{request.path} {name}", content_type="text/plain; charset=utf-8")


@csrf_exempt
def body(request):
    return HttpResponse(request.body, content_type="application/octet-stream")


def error(request):
    raise RuntimeError("raised in a view")
