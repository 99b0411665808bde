"""Prints, in all ways."""
import os
import subprocess
import sys
import threading

try:
    import uwsgi
except ImportError:
    uwsgi = None


def hello(environ):
    print("to stdout")
    print("to stderr", file=sys.stderr)
    environ["wsgi.errors"].write("to wsgi.errors\n")
    environ["wsgi.errors"].flush()


def crowd(environ):
    """Threads that print at the same time, each line in many pieces."""
    size = int(environ.get("QUERY_STRING") or 100)

    def lines(letter):
        for _ in range(20):
            print("<", letter * size, ">", sep="", file=sys.stdout if letter < "e" else sys.stderr)

    threads = [threading.Thread(target=lines, args=(letter,)) for letter in "abcdefgh"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def child(environ):
    """A program that has inherited descriptor 2."""
    subprocess.run(["sh", "-c", "printf 'from a '; echo child"], stdout=2, check=True)


def raw(environ):
    os.write(2, b"written raw\n")


def logvar(environ):
    uwsgi.set_logvar("tenant", 'seven "7"')
    uwsgi.set_logvar("nothing", "")


def record(environ):
    """One record of several lines, as logging writes a traceback."""
    sys.stderr.write("Traceback:\n  here\n  there\n")


def buffers(environ):
    """What libraries do with the stream."""
    assert sys.stdout.buffer.write(bytearray(b"bytes ")) == 6
    sys.stdout.buffer.writelines([b"and ", memoryview(b"more\n")])
    sys.stdout.write("no newline")
    sys.stdout.flush()
    sys.stdout.write("\n")
    assert sys.stdout.fileno() == 1 and not sys.stdout.isatty()
    assert sys.stdout.encoding.lower() == "utf-8" and sys.stdout.writable()
    sys.stdout.reconfigure(errors="backslashreplace")
    print("reconfigured \udc80")
    try:
        sys.stdout.buffer.write("text")
    except TypeError:
        print("text is no bytes")


def application(environ, start_response):
    action = globals().get(environ["PATH_INFO"].strip("/"))
    if action:
        action(environ)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"done"]
