"""Assets over HTTP: every way in, every way out, and what is refused."""

import base64
import hashlib
import json
import socket
from urllib.parse import quote, urlsplit

import pytest

from backend.handlers import shapes
from backend.handlers.content import disposition
from backend.testing.service import until


def problem_of(answer, status, slug):
    assert answer.status == status, answer.body
    assert answer.headers["content-type"].startswith("application/problem+json")
    problem = answer.json()
    assert problem["type"] == f"/v1/problems/{slug}"
    return problem


def form(*parts, boundary="frontier"):
    """A multipart body; each part is (headers, content)."""
    body = b"".join(
        f"--{boundary}\r\n{headers}\r\n\r\n".encode() + content + b"\r\n"
        for headers, content in parts
    )
    kind = f"multipart/form-data; boundary={boundary}"
    return body + f"--{boundary}--\r\n".encode(), {"Content-Type": kind}


def file_part(name, content):
    return f'Content-Disposition: form-data; name="file"; filename="{name}"', content


def on_socket(service, head, *chunks, wait_for=b"\r\n\r\n"):
    """Speak plainly: send the head, then chunks; return all bytes up to the end of the answer."""
    parts = urlsplit(service.url)
    with socket.create_connection((parts.hostname, parts.port), timeout=600) as connection:
        connection.sendall(head)
        got = b""
        for chunk in chunks:
            connection.sendall(chunk)
        while wait_for not in got:
            more = connection.recv(65536)
            if not more:
                break
            got += more
    return got


def test_a_raw_upload(cpu_service, make_wav):
    """The raw body is the file; it comes back canonical, under a reference that is its content."""
    answer = cpu_service.ask("POST", "/v1/assets?file_name=voice.wav", make_wav())
    assert answer.status == 201
    asset = answer.json()
    shapes.Asset.model_validate(asset)
    assert answer.headers["location"] == f"/v1/assets/{asset['id']}"
    assert asset["kind"] == "audio"
    assert asset["file_name"] == "voice.wav"
    assert asset["details"]["sample_rate"] == 8000
    assert cpu_service.get(f"/v1/assets/{asset['id']}") == asset
    again = cpu_service.upload(make_wav(), "other.wav")
    assert again["reference"] == asset["reference"]


def test_a_form_upload(cpu_service, make_wav):
    """A form with one file field is the same as a raw body."""
    body, headers = form(file_part("voice.wav", make_wav()))
    answer = cpu_service.ask("POST", "/v1/assets", body, headers=headers)
    assert answer.status == 201, answer.body
    raw = cpu_service.upload(make_wav(), "voice.wav")
    assert answer.json()["reference"] == raw["reference"]
    assert answer.json()["file_name"] == "voice.wav"


def test_names_by_header(cpu_service, make_wav):
    """A raw upload may carry its name in Content-Disposition, in UTF-8 too."""
    header = "attachment; filename*=UTF-8''" + quote("Stimme ä.wav")
    answer = cpu_service.ask(
        "POST", "/v1/assets", make_wav(), headers={"Content-Disposition": header}
    )
    assert answer.json()["file_name"] == "Stimme ä.wav"


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("../up.wav", "no_path"),
        ("..", "no_path"),
        ("a/b.wav", "no_path"),
        ("a\\b.wav", "no_path"),
        ("two\nlines.wav", "printable"),
        ("two\r\nSet-Cookie: x", "printable"),
        ("tab\t.wav", "printable"),
        ("x" * 256, "length"),
        (" ", "length"),
    ],
)
def test_names_that_are_no_labels(cpu_service, make_wav, name, rule):
    """A name that is a path, has control characters or no end is refused, naming the rule."""
    path = "/v1/assets?file_name=" + quote(name, safe="")
    answer = cpu_service.ask("POST", path, make_wav())
    assert problem_of(answer, 422, "invalid-parameters")["errors"][0]["rule"] == rule


def test_a_null_in_a_name(cpu_service, make_wav):
    """A null character in the query is refused as such."""
    answer = cpu_service.ask("POST", "/v1/assets?file_name=a%00b", make_wav())
    assert problem_of(answer, 422, "invalid-parameters")["errors"][0]["rule"] == "null_character"


def test_forms_that_are_no_upload(cpu_service, make_wav):
    """Two fields, no file, no boundary, a cut form, an encoded part: each a problem."""
    two, headers = form(file_part("a.wav", make_wav()), file_part("b.wav", make_wav()))
    problem_of(
        cpu_service.ask("POST", "/v1/assets", two, headers=headers), 400, "malformed-request"
    )
    text, headers = form(('Content-Disposition: form-data; name="x"', b"1"))
    problem_of(
        cpu_service.ask("POST", "/v1/assets", text, headers=headers), 422, "invalid-parameters"
    )
    for kind in ("multipart/form-data", "multipart/mixed; boundary=x"):
        answer = cpu_service.ask("POST", "/v1/assets", b"--x--", headers={"Content-Type": kind})
        problem_of(answer, 400, "malformed-request")
    cut, headers = form(file_part("a.wav", make_wav()))
    problem_of(
        cpu_service.ask("POST", "/v1/assets", cut[:200], headers=headers), 400, "malformed-request"
    )
    packed, headers = form(
        (file_part("a.wav", b"")[0] + "\r\nContent-Transfer-Encoding: base64", b"UklGRg==")
    )
    problem_of(
        cpu_service.ask("POST", "/v1/assets", packed, headers=headers), 400, "malformed-request"
    )


def test_two_gigabytes_are_refused_before_the_first_byte(cpu_service):
    """A declared length over the cap: the answer comes although no byte was sent."""
    for extra in ("", "Expect: 100-continue\r\n"):
        head = "POST /v1/assets HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2147483648\r\n"
        head += extra + "\r\n"
        got = on_socket(cpu_service, head.encode(), wait_for=b"asset-too-large")
        assert got.startswith(b"HTTP/1.1 413 ")
        assert b"/v1/problems/asset-too-large" in got
        assert b"100 Continue" not in got
    form_head = (
        "POST /v1/assets HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2147483648\r\n"
        "Content-Type: multipart/form-data; boundary=x\r\n\r\n"
    )
    assert on_socket(cpu_service, form_head.encode()).startswith(b"HTTP/1.1 413 ")


def test_continue_is_said_to_a_welcome_upload(cpu_service, make_wav):
    """With ``Expect: 100-continue`` the body is asked for, then taken."""
    content = make_wav()
    head = (
        "POST /v1/assets HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n"
        f"Content-Length: {len(content)}\r\nConnection: close\r\n\r\n"
    )
    got = on_socket(cpu_service, head.encode(), content, wait_for=b'"created"')
    assert got.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 ")


def test_the_cap_and_the_patience(launch, make_wav):
    """A chunked upload is refused at the cap, a silent one after its time; the service goes on."""
    service = launch(limits__upload_bytes=65536, limits__body_inactivity_s=1.0)
    head = b"POST /v1/assets HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunk = b"4000\r\n" + b"x" * 0x4000 + b"\r\n"
    got = on_socket(service, head, *[chunk] * 5)
    assert got.startswith(b"HTTP/1.1 413 ")
    got = on_socket(service, head, b"4\r\nRIFF\r\n")
    assert got.startswith(b"HTTP/1.1 408 ")
    big, headers = form(file_part("a.wav", b"x" * 70_000))
    answer = service.ask("POST", "/v1/assets", big, headers=headers)
    problem_of(answer, 413, "asset-too-large")
    assert service.upload(make_wav(), "a.wav")["kind"] == "audio"
    assert service.get("/v1/assets")["items"][0]["file_name"] == "a.wav"


@pytest.mark.parametrize(
    "content",
    [b"", b"hello", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"PK\x03\x04" + b"\0" * 40],
)
def test_what_is_no_media(cpu_service, content):
    """Empty, text, active and archive files are refused."""
    problem_of(cpu_service.ask("POST", "/v1/assets", content), 415, "asset-rejected")


def test_cut_files(cpu_service, make_wav):
    """Half a WAV is refused, or taken as what it is and flagged; never silently whole."""
    answer = cpu_service.ask("POST", "/v1/assets", make_wav()[: 44 + 200])
    if answer.status == 201:
        assert answer.json()["details"]["truncated"] is True
    else:
        problem_of(answer, 415, "asset-rejected")


def test_the_digest_is_checked(cpu_service, make_wav):
    """A Content-Digest that fits is accepted, another refused."""
    content = make_wav()
    for data, status in ((content, 201), (content + b"x", 422)):
        digest = base64.b64encode(hashlib.sha256(data).digest()).decode()
        headers = {"Content-Digest": f"sha-256=:{digest}:"}
        assert cpu_service.ask("POST", "/v1/assets", content, headers=headers).status == status


def test_a_packed_upload_is_refused(cpu_service):
    """No Content-Encoding on the way in."""
    answer = cpu_service.ask("POST", "/v1/assets", b"x", headers={"Content-Encoding": "gzip"})
    problem_of(answer, 415, "request-refused")


def test_download_headers(cpu_service, tone):
    """A download is an attachment that no browser runs, sniffs or guesses at."""
    answer = cpu_service.ask("GET", f"/v1/assets/{tone['id']}/content")
    assert answer.status == 200
    assert answer.headers["content-type"] == tone["media_type"]
    assert answer.headers["content-disposition"].startswith('attachment; filename="tone.wav"')
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"] == "default-src 'none'; sandbox"
    assert answer.headers["etag"] == f'"{tone["reference"].removeprefix("blake3:")}"'
    assert len(answer.body) == tone["size"] == int(answer.headers["content-length"])
    head = cpu_service.ask("HEAD", f"/v1/assets/{tone['id']}/content")
    assert head.headers["content-length"] == answer.headers["content-length"]
    assert head.body == b""


def test_conditional_download(cpu_service, tone):
    """Who has the content already gets 304."""
    path = f"/v1/assets/{tone['id']}/content"
    etag = cpu_service.ask("HEAD", path).headers["etag"]
    for header in (etag, "W/" + etag, f'"x", {etag}', "*"):
        answer = cpu_service.ask("GET", path, headers={"If-None-Match": header})
        assert (answer.status, answer.body) == (304, b"")
    assert cpu_service.ask("GET", path, headers={"If-None-Match": '"x"'}).status == 200


def test_ranges(cpu_service, tone):
    """One byte range is served exactly; what is not understood is ignored; beyond is 416."""
    path = f"/v1/assets/{tone['id']}/content"
    whole = cpu_service.ask("GET", path)
    size, etag = len(whole.body), whole.headers["etag"]
    cases = [
        ("bytes=0-3", 0, 4), ("bytes=4-", 4, size), ("bytes=-5", size - 5, size),
        ("bytes=10-99999999", 10, size), (f"bytes={size - 1}-", size - 1, size),
    ]  # fmt: skip
    for header, first, end in cases:
        answer = cpu_service.ask("GET", path, headers={"Range": header})
        assert answer.status == 206
        assert answer.body == whole.body[first:end]
        assert answer.headers["content-range"] == f"bytes {first}-{end - 1}/{size}"
    long = f"bytes={'9' * 5000}-"
    for header in (
        *("bytes=5-2", "bytes=a-b", "lines=1-2", "bytes=", "bytes=0-1,3-4", "bytes=٣-٤", long),
    ):
        answer = cpu_service.ask("GET", path, headers={"Range": header.encode().decode("latin-1")})
        assert (answer.status, answer.body) == (200, whole.body)
    for header in (f"bytes={size}-", "bytes=-0"):
        answer = cpu_service.ask("GET", path, headers={"Range": header})
        assert answer.headers["content-range"] == f"bytes */{size}"
        problem_of(answer, 416, "request-refused")
    for condition, status in ((etag, 206), ('"other"', 200)):
        headers = {"Range": "bytes=0-3", "If-Range": condition}
        assert cpu_service.ask("GET", path, headers=headers).status == status


def test_listing_by_pages(cpu_service, make_wav):
    """Pages of two, filtered by kind, hold every asset once, newest first."""
    mine = [cpu_service.upload(make_wav(hz=300 + n), f"page-{n}.wav")["id"] for n in range(3)]
    seen, cursor = [], ""
    while True:
        page = cpu_service.get(f"/v1/assets?kind=audio&limit=2{cursor}")
        shapes.AssetPage.model_validate(page)
        seen += [item["id"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert seen == sorted(set(seen), reverse=True)
    assert set(mine) <= set(seen)
    for query in ("limit=0", "limit=201", "limit=x", "cursor=nonsense", "state=queued"):
        answer = cpu_service.ask("GET", f"/v1/assets?{query}")
        problem_of(answer, 422, "invalid-parameters")


def test_deleting(cpu_service, make_wav):
    """A deleted asset is gone, for every way of asking."""
    asset = cpu_service.upload(make_wav(hz=777), "gone.wav")
    path = f"/v1/assets/{asset['id']}"
    assert cpu_service.ask("DELETE", path).status == 204
    for method, where in (("GET", path), ("GET", path + "/content"), ("DELETE", path)):
        problem_of(cpu_service.ask(method, where), 404, "unknown-name")


@pytest.mark.parametrize(
    "name", ["ast_" + "0" * 26, "x", "%2e%2e%2fkino.db", "ast_%00", "blake3:" + "0" * 64]
)
def test_foreign_assets(cpu_service, name):
    """An id that nobody has is a 404, whatever it looks like."""
    problem_of(cpu_service.ask("GET", f"/v1/assets/{name}"), 404, "unknown-name")


def test_an_upload_that_breaks_off_leaves_nothing(launch):
    """A client that leaves in the middle of an upload leaves no file behind."""
    service = launch()
    head = b"POST /v1/assets HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nRIFF"
    parts = urlsplit(service.url)
    with socket.create_connection((parts.hostname, parts.port), timeout=600) as connection:
        connection.sendall(head)
        until(
            "the upload has begun",
            lambda: list((service.data_dir / "incoming").glob("*/raw")),
            seconds=300,
        )
    until(
        "nothing is left",
        lambda: not list((service.data_dir / "incoming").iterdir()),
        seconds=300,
    )
    assert json.dumps(service.get("/v1/assets")["items"]) == "[]"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.wav", "attachment; filename=\"a.wav\"; filename*=UTF-8''a.wav"),
        ('a"b\\c%.wav', "attachment; filename=\"a_b_c_.wav\"; filename*=UTF-8''a%22b%5Cc%25.wav"),
        ("ä.wav", "attachment; filename=\"_.wav\"; filename*=UTF-8''%C3%A4.wav"),
    ],
)
def test_names_in_headers(name, expected):
    """RFC 6266: a plain name for old clients, the exact one for all others, quotes never broken."""
    assert disposition(name) == expected
