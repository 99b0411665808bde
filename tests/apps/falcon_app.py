import falcon


class Hello:
    def on_get(self, request, response):
        response.content_type = falcon.MEDIA_TEXT
        response.text = "Hello from Falcon"

    on_head = on_get


class Json:
    def on_post(self, request, response):
        response.media = request.get_media()


class Body:
    def on_post(self, request, response):
        response.content_type = "application/octet-stream"
        response.data = request.bounded_stream.read()


class Stream:
    def on_get(self, request, response):
        response.content_type = falcon.MEDIA_TEXT
        response.stream = (b"line %d\n" % number for number in range(1000))


class Download:
    def on_get(self, request, response):
        response.content_type = falcon.MEDIA_TEXT
        response.stream = open(__file__, "rb")


class Error:
    def on_get(self, request, response):
        raise RuntimeError("raised in a view")


application = falcon.App()
application.add_route("/", Hello())
application.add_route("/json", Json())
application.add_route("/body", Body())
application.add_route("/stream", Stream())
application.add_route("/download", Download())
application.add_route("/error", Error())
