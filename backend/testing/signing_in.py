"""A browser's side of signing in, without a browser: what it sends, and the cookie that it keeps.

Knows: the form's fields and a browser's headers.
Does not know: what is tested.
"""

from __future__ import annotations

import hashlib
from http.cookies import Morsel, SimpleCookie
from typing import Any, Final
from urllib.parse import urlencode

KEY: Final = "a-long-and-secret-key"
DIGEST: Final = hashlib.sha256(KEY.encode()).hexdigest()
KEYS: Final = [f"ci:{DIGEST}"]
BROWSER: Final = {
    "Accept": "text/html,application/xhtml+xml,*/*;q=0.8",
    "Sec-Fetch-Dest": "document",
}
FORM: Final = {"Content-Type": "application/x-www-form-urlencoded"}


def own(door: Any, **more: str) -> dict[str, str]:
    """What a browser says of a request by a page of the service itself."""
    return {"Origin": door.url, "Sec-Fetch-Site": "same-origin", **more}


async def submit(door: Any, key: str, to: str | None = None, **headers: str) -> Any:
    """Send the form as a browser does, without following where it leads."""
    fields = {"key": key} | ({} if to is None else {"next": to})
    return await door.ask(
        *("POST", "/v1/session"),
        data=urlencode(fields),
        headers=own(door, **FORM, **BROWSER, **headers),
        allow_redirects=False,
    )


def cookie(answer: Any) -> Morsel[str]:
    """The one cookie that an answer sets."""
    (morsel,) = SimpleCookie(answer.headers["set-cookie"]).values()
    return morsel


async def signed_in(door: Any) -> dict[str, str]:
    """The header by which a browser that has signed in is known from now on."""
    token = cookie(await submit(door, KEY)).value
    door.client.cookie_jar.clear()
    return {"Cookie": f"kino_session={token}"}
