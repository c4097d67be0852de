"""The page on which a person signs in and out: HTML without scripts.

Knows: the form, what is said on it, and which requests are a person opening a page.
Does not know: keys and sessions (``handlers.session``).
"""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha256
from html import escape
from http import HTTPStatus
from typing import Final

from aiohttp import hdrs, web

Doors = tuple[tuple[str, str], ...]
"""Paths of pages that people open, and what these are called."""

HOME: Final = "/signin"
FETCH_SITE: Final = "Sec-Fetch-Site"
FETCH_DEST: Final = "Sec-Fetch-Dest"

_PATH: Final = re.compile(r"/(?![/\\])[!#-;=?-\[\]-_a-z{|}~]*")
"""A path of this service with its query, as browsers write it: nothing that a browser reads as
another host (``//``, ``/\\``), no control character, no quote, nothing that is not ASCII."""

_LONGEST: Final = 2000

_STYLE: Final = (
    ":root{color-scheme:light dark;--ink:#1a1a1a;--page:#f4f4f4;--card:#fff;--line:#767676;"
    "--act:#0b57d0;--on:#fff;--bad:#a50e0e}"
    "*{box-sizing:border-box}body{margin:0;min-height:100vh;display:grid;place-items:center;"
    "padding:1rem;font:1rem/1.5 system-ui,sans-serif;color:var(--ink);background:var(--page)}"
    "main{width:100%;max-width:24rem;padding:1.5rem;border-radius:.75rem;background:var(--card)}"
    "h1{font-size:1.4rem;margin:0 0 .75rem}p{margin:0 0 1rem;overflow-wrap:anywhere}"
    "label{display:block;font-weight:600;margin-bottom:.25rem}"
    "input,button{width:100%;font:inherit;padding:.6rem .75rem;border-radius:.4rem}"
    "input{color:inherit;background:var(--page);border:1px solid var(--line);margin-bottom:1rem}"
    "input[aria-invalid]{border:2px solid var(--bad)}"
    "button{font-weight:600;color:var(--on);background:var(--act);border:0;cursor:pointer}"
    ":focus-visible{outline:3px solid var(--act);outline-offset:2px}"
    "a{color:var(--act)}.bad{color:var(--bad);font-weight:600}"
    ".small{font-size:.875rem;margin:1rem 0 0}"
    "@media(prefers-color-scheme:dark){:root{--ink:#eee;--page:#161616;--card:#242424;"
    "--line:#8c8c8c;--act:#8ab8ff;--on:#0a1a33;--bad:#ff9d94}}"
)
_POLICY: Final = (
    "default-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
    f"img-src data:; style-src 'sha256-{b64encode(sha256(_STYLE.encode()).digest()).decode()}'"
)


def is_wanted(request: web.Request) -> bool:
    """Whether a person opens a page here. Without TLS, browsers do not say what they ask for."""
    return (
        request.method == hdrs.METH_GET
        and hdrs.AUTHORIZATION not in request.headers
        and request.headers.get(FETCH_DEST, "document") == "document"
        and takes_html(request)
    )


def takes_html(request: web.Request) -> bool:
    """Whether the answer is for a person to read."""
    return "text/html" in request.headers.get(hdrs.ACCEPT, "").lower()


def local_path(given: str) -> str:
    """*given* if it is a path of this service, else the path of the page itself."""
    return given if len(given) <= _LONGEST and _PATH.fullmatch(given) else HOME


def ask_first(request: web.Request) -> web.Response:
    """Instead of the page that was asked for: the form, which leads there.

    Browsers leave a ``SameSite=Strict`` cookie away when another site's link is followed. So a page
    that was come to in this way asks for itself once more: that request is our own.
    """
    again = request.headers.get(FETCH_SITE) == "cross-site"
    return form(request.rel_url.raw_path_qs, HTTPStatus.UNAUTHORIZED, again=again)


def form(to: str, status: int, wrong: str = "", *, again: bool = False) -> web.Response:
    """The form. *wrong* says what is not right with what was sent before."""
    said, marks = "", ""
    if wrong:
        said = f'<p class="bad" id="wrong" role="alert">{escape(wrong)}</p>'
        marks = ' aria-invalid="true" aria-describedby="wrong"'
    response = _page(
        ("Not signed in: " if wrong else "") + "Sign in to Kino",
        "<h1>Sign in to Kino</h1><p>This service wants an API key. Whoever runs it has given you "
        f'one.</p>{said}<form method="post" action="/v1/session">'
        f'<input type="hidden" name="next" value="{escape(local_path(to))}">'
        '<label for="key">API key</label><input id="key" name="key" type="password" required '
        'autofocus autocomplete="current-password" autocapitalize="none" spellcheck="false"'
        f'{marks}><button>Sign in</button></form><p class="small">A cookie keeps you signed in '
        "here for 30 days.</p>",
        status,
        head='<meta http-equiv="refresh" content="0">' if again else "",
    )
    if status == HTTPStatus.UNAUTHORIZED:
        response.headers[hdrs.WWW_AUTHENTICATE] = 'Bearer realm="kino"'
    return response


def signed_in(key_name: str, doors: Doors) -> web.Response:
    """Who is signed in, where to go, and the way out."""
    return _page(
        "Kino: signed in",
        f"<h1>Signed in</h1><p>With the key <b>{escape(key_name)}</b>.</p>{_links(doors)}"
        '<form method="post" action="/signout"><button>Sign out</button></form>',
    )


def not_needed(doors: Doors) -> web.Response:
    """What is said where there are no keys."""
    return _page(
        "Kino: no key is needed",
        f"<h1>No key is needed</h1><p>This service asks for no key.</p>{_links(doors)}",
    )


def _links(doors: Doors) -> str:
    links = (f'<a href="{escape(path)}">{escape(name)}</a>' for path, name in doors)
    return f"<p>{' · '.join(links)}</p>"


def _page(title: str, body: str, status: int = HTTPStatus.OK, head: str = "") -> web.Response:
    return web.Response(
        text='<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f"<title>{escape(title)}</title>{head}"
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f'<link rel="icon" href="data:,"><style>{_STYLE}</style></head>'
        f"<body><main>{body}</main></body></html>",
        status=status,
        content_type="text/html",
        # with the usual "no-referrer", browsers send "Origin: null" with a form
        headers={"Content-Security-Policy": _POLICY, "Referrer-Policy": "same-origin"},
    )
