import hashlib

from flask import Flask, Response, jsonify, redirect, request, send_file, session, stream_with_context

app = Flask(__name__)
app.secret_key = "only for tests"


@app.get("/")
def hello():
    return "Hello from Flask"


@app.post("/form")
def form():
    return jsonify(request.form.to_dict(flat=False))


@app.post("/json")
def json():
    return jsonify(request.get_json())


@app.post("/upload")
def upload():
    content = request.files["file"].read()
    return jsonify(name=request.files["file"].filename, size=len(content), sha256=hashlib.sha256(content).hexdigest())


@app.post("/body")
def body():
    return Response(request.get_data(), mimetype="application/octet-stream")


@app.get("/stream")
def stream():
    return Response(stream_with_context(f"line {n}\n" for n in range(1000)), mimetype="text/plain")


@app.get("/session")
def count():
    session["count"] = session.get("count", 0) + 1
    return str(session["count"])


@app.get("/download")
def download():
    return send_file(__file__, conditional=True)


@app.get("/url")
def url():
    return jsonify(url=request.url, root=request.url_root, remote=request.remote_addr, args=request.args.to_dict())


@app.get("/away")
def away():
    return redirect("/")


@app.get("/error")
def error():
    raise RuntimeError("raised in a view")
