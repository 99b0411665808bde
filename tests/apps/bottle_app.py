import os

from bottle import Bottle, request, response, static_file

application = Bottle()


@application.get("/")
def hello():
    return "Hello from Bottle"


@application.post("/form")
def form():
    return {key: request.forms.getall(key) for key in request.forms}


@application.post("/upload")
def upload():
    file = request.files["file"]
    return {"name": file.raw_filename, "size": len(file.file.read())}


@application.post("/body")
def body():
    response.content_type = "application/octet-stream"
    return request.body.read()


@application.get("/stream")
def stream():
    response.content_type = "text/plain"
    for number in range(1000):
        yield f"line {number}\n"


@application.get("/download")
def download():
    return static_file(os.path.basename(__file__), os.path.dirname(__file__))


@application.get("/error")
def error():
    raise RuntimeError("raised in a view")
