"""The demo of uwgate: a WSGI application made of the standard library only.

`/` shows the request as the application received it, `/stream` a body sent piece by piece, `/echo`
a form that comes back, `/error` what an exception does.
"""
import html
import os
import platform
import sys
import time
from string import Template
from urllib.parse import parse_qs, quote

GROUPS = [
    ("The request", "what the client asked for", ("REQUEST_", "PATH_INFO", "QUERY_", "SCRIPT_NAME", "CONTENT_")),
    ("Its headers", "each one as HTTP_NAME; names with underscores never get here", ("HTTP_",)),
    ("The connection", "who speaks to whom", ("REMOTE_", "SERVER_", "HTTPS", "DOCUMENT_")),
    ("WSGI", "what PEP 3333 asks of the server", ("wsgi.",)),
    ("The rest", "what only this server adds", ("",)),
]

STYLE = """
:root { color-scheme: light dark;
  --ground: #f4f6f3; --card: #fff; --ink: #17211e; --soft: #5a6963; --line: #d9dfd9;
  --accent: #00684e; --mark: #ffd95e; --code: #10201c; --code-ink: #dcebe4; }
@media (prefers-color-scheme: dark) { :root {
  --ground: #0e1513; --card: #16201d; --ink: #e3ebe7; --soft: #93a39c; --line: #27342f;
  --accent: #58d3ab; --mark: #6b5a14; --code: #080d0c; --code-ink: #cfe3da; } }
* { box-sizing: border-box }
html { scroll-behavior: smooth }
body { margin: 0; background: var(--ground); color: var(--ink);
  font: 1rem/1.6 system-ui, sans-serif; -webkit-text-size-adjust: 100% }
main, footer { max-width: 66rem; margin: 0 auto; padding: 0 1.5rem }
a { color: var(--accent); text-underline-offset: .2em }
code, pre, td, th.key, .wire { font-family: ui-monospace, "SF Mono", "DejaVu Sans Mono", Menlo, monospace }
h1 { font-size: clamp(2.4rem, 7vw, 4rem); line-height: 1; letter-spacing: -.045em; margin: 0 }
h2 { font-size: 1.5rem; letter-spacing: -.02em; margin: 4rem 0 .4rem }
h3 { font-size: 1rem; margin: 0 0 .6rem }
p { max-width: 40rem; margin: .4rem 0 }
.soft { color: var(--soft) }
header { padding: 4rem 0 0; display: grid; grid-template-columns: auto 1fr; gap: .4rem 1.2rem; align-items: center }
header svg { width: clamp(3.4rem, 8vw, 4.8rem); height: auto }
header p { grid-column: 1 / -1; font-size: 1.25rem; line-height: 1.5; margin-top: 1rem }
.wire { list-style: none; margin: 2.4rem 0 0; padding: 0; display: flex; flex-wrap: wrap; font-size: .85rem;
  border: 1px solid var(--line); border-radius: .6rem; background: var(--card); overflow: hidden }
.wire li { flex: 1 1 14rem; padding: .9rem 1.2rem; border-left: 1px solid var(--line); margin-left: -1px;
  overflow-wrap: anywhere }
.wire b { display: block; font: 600 .72rem/1.8 system-ui, sans-serif; color: var(--soft); letter-spacing: .04em }
.wire mark, h2 mark { background: var(--mark); color: inherit; padding: 0 .25em; border-radius: .2em }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 27rem), 1fr)); gap: 1rem; margin-top: 1.2rem }
.card { background: var(--card); border: 1px solid var(--line); border-radius: .6rem; padding: 1.2rem; min-width: 0 }
pre { background: var(--code); color: var(--code-ink); border-radius: .4rem; padding: .8rem 1rem; margin: 0;
  overflow-x: auto; font-size: .82rem; line-height: 1.6 }
.tries { padding: 0; margin: 1rem 0 0; list-style: none; display: grid; gap: .5rem }
.tries a { font-family: ui-monospace, "DejaVu Sans Mono", monospace }
form { display: flex; flex-wrap: wrap; gap: .5rem; margin-top: 1rem }
input, button { font: inherit; padding: .45rem .8rem; border-radius: .4rem; border: 1px solid var(--line);
  background: var(--card); color: inherit }
input { flex: 1 1 14rem; max-width: 24rem }
button { background: var(--accent); border-color: var(--accent); color: var(--ground); font-weight: 600; cursor: pointer }
:focus-visible { outline: 3px solid var(--mark); outline-offset: 2px }
.scroll { overflow-x: auto; border: 1px solid var(--line); border-radius: .6rem; background: var(--card); margin-top: 1.2rem }
table { border-collapse: collapse; width: 100%; font-size: .85rem }
caption { text-align: left }
th, td { text-align: left; vertical-align: top; padding: .4rem 1.2rem; border-top: 1px solid var(--line) }
tbody:first-of-type tr:first-child th { border-top: 0 }
th.group { background: var(--ground); padding-top: .9rem; font-weight: 600 }
th.group span { font-weight: 400; color: var(--soft); margin-left: .6rem }
th.key { font-weight: 400; white-space: nowrap; padding-right: 2rem }
td.type { color: var(--soft); padding-right: 2rem; white-space: nowrap }
td.value { width: 100%; min-width: 16rem; overflow-wrap: anywhere }
@media (max-width: 40rem) { td.type { display: none } td.value { min-width: 0 }
  th.key { white-space: normal; overflow-wrap: anywhere; width: 40% } th, td { padding: .4rem .8rem }
  th.key { padding-right: .8rem } th.group span { display: block; margin: 0 } }
footer { padding: 4rem 1.5rem 3rem; color: var(--soft); font-size: .9rem }
"""

GATE = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 56" aria-hidden="true" fill="none" stroke="currentColor" stroke-width="5" stroke-linecap="round">
<path d="M6 52V22C6 10 18 4 32 4s26 6 26 18v30"/><path d="M19 52V26M32 52V20M45 52V26" stroke-width="3.4"/>
<path d="M2 52h60" /></svg>"""

PAGE = Template("""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>uwgate is running</title>
<link rel="icon" href="data:image/svg+xml,$icon">
<style>$style</style>
<main>
<header>$gate<h1>uwgate</h1>
<p>A gateway between web servers and Python WSGI applications. It speaks HTTP and the uwsgi protocol,
reads uWSGI&rsquo;s configuration files, and runs your application in your own Python. It has just
answered this request with a small application that it brings along.</p></header>
<ol class="wire">
<li><b>The client</b>$client</li>
<li><b>asked for</b><mark>$line</mark></li>
<li><b>and was answered by</b>worker $pid of master $master, Python $python</li>
</ol>

<h2>Serve your own application</h2>
<p class="soft">The options are uWSGI&rsquo;s. Stop this demo with Ctrl-C, then try one of these
(after <code>cargo build --release</code>, <code>uwgate</code> is <code>target/release/uwgate</code>).</p>
<div class="cards">
<section class="card"><h3>A module, over HTTP</h3><pre>uwgate --http-socket 127.0.0.1:8080 \\
       --module mysite.wsgi:application \\
       --master --processes 4</pre></section>
<section class="card"><h3>A file, with its own venv</h3><pre>uwgate --http-socket 127.0.0.1:8080 \\
       --wsgi-file app.py --callable app \\
       --virtualenv /srv/app/venv</pre></section>
<section class="card"><h3>Behind nginx: the server&rsquo;s file</h3><pre>; uwgate --ini app.ini
[uwsgi]
chdir = /srv/app
module = mysite.wsgi
master = true
processes = 4
socket = /run/app/app.sock
chmod-socket = 660</pre></section>
<section class="card"><h3>Behind nginx: nginx&rsquo;s part</h3><pre>location / {
    include uwsgi_params;
    uwsgi_pass unix:/run/app/app.sock;
}</pre></section>
</div>

<h2>Try it</h2>
<ul class="tries">
<li><a href="/stream">/stream</a> <span class="soft">is sent line by line, as a generator yields</span></li>
<li><a href="/error">/error</a> <span class="soft">raises: you get a plain 500, the terminal gets the traceback</span></li>
<li><a href="/a%20path/with%20caf%C3%A9?query=yes">/a path/with caf&eacute;?query=yes</a> <span class="soft">shows up in the table below</span></li>
</ul>
<form action="/echo" method="post"><input name="text" aria-label="Text to send" value="Bonjour, caf&eacute;!">
<button>Send it back</button></form>

<h2>The environ of this request</h2>
<p class="soft">Everything your application would be told. Strings hold bytes decoded as latin&#8209;1, as PEP 3333 wants it.</p>
<div class="scroll"><table>
$rows
</table></div>
</main>
<footer>Served by $executable &middot; MIT or Apache-2.0, as you like</footer>
</html>
""")


def row(key, value):
    return (
        f'<tr><th class="key" scope="row">{html.escape(key)}</th>'
        f'<td class="type">{type(value).__name__}</td>'
        f'<td class="value">{html.escape(repr(value))}</td></tr>'
    )


def rows(environ):
    """The table, in groups; a key belongs to the first group with a prefix of it."""
    left = dict(sorted(environ.items()))
    for title, note, prefixes in GROUPS:
        keys = [key for key in left if key.startswith(prefixes)]
        if keys:
            yield (
                f'<tbody><tr><th class="group" colspan="3" scope="rowgroup">{title}'
                f"<span>{note}</span></th></tr>"
            )
            yield from (row(key, left.pop(key)) for key in keys)
            yield "</tbody>"


def page(environ, start_response):
    line = f"{environ['REQUEST_METHOD']} {environ.get('REQUEST_URI', '/')} {environ['SERVER_PROTOCOL']}"
    text = PAGE.substitute(
        style=STYLE,
        gate=GATE,
        icon=quote(GATE),
        client=html.escape(environ.get("REMOTE_ADDR") or "somebody on this machine"),
        line=html.escape(line),
        pid=os.getpid(),
        master=os.getppid(),
        python=platform.python_version(),
        rows="\n".join(rows(environ)),
        executable=html.escape(sys.executable or "an embedded Python"),
    )
    start_response("200 OK", [("Content-Type", "text/html; charset=utf-8"), ("Cache-Control", "no-store")])
    return [text.encode()]


def stream(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain; charset=utf-8"), ("X-Content-Type-Options", "nosniff")])
    yield b"Each line is sent as soon as the application yields it.\n\n"
    for number in range(1, 11):
        yield f"{number:2} of 10, {time.strftime('%H:%M:%S')}\n".encode()
        time.sleep(0.25)


def echo(environ, start_response):
    """Reads a form of at most 10 kB."""
    length = min(int(environ.get("CONTENT_LENGTH") or 0), 10_000)
    form = parse_qs(environ["wsgi.input"].read(length).decode("utf-8", "replace"))
    start_response("200 OK", [("Content-Type", "text/plain; charset=utf-8")])
    return [form.get("text", ["Nothing was sent."])[0].encode(), b"\n"]


def error(environ, start_response):
    raise RuntimeError("this is the demo's /error: the traceback is for you, the client sees a plain 500")


ROUTES = {"/stream": stream, "/echo": echo, "/error": error}


def application(environ, start_response):
    return ROUTES.get(environ["PATH_INFO"], page)(environ, start_response)
