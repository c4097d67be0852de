"""The OpenAPI document: valid, complete, and true."""

import re

from openapi_spec_validator import OpenAPIV31SpecValidator

from backend.handlers import shapes
from backend.handlers.paths import FIXED


def test_the_document_is_valid(cpu_service):
    """OpenAPI 3.1 by the letter."""
    document = cpu_service.get("/openapi.json")
    assert document["openapi"] == "3.1.0"
    OpenAPIV31SpecValidator(document).validate()


def test_each_operation_has_a_typed_path(cpu_service):
    """One path for each operation, whose body is the operation's own schema."""
    document = cpu_service.get("/openapi.json")
    for item in cpu_service.get("/v1/operations")["items"]:
        post = document["paths"][f"/v1/operations/{item['name']}"]["post"]
        assert post["operationId"] == item["tool"]
        names = {parameter["name"] for parameter in post["parameters"]}
        assert names == {
            *("wait", "cache", "Idempotency-Key"),
            *("Kino-Cache", "Kino-Metadata", "Kino-Priority", "Kino-Timeout"),
        }
        schema = post["requestBody"]["content"]["application/json"]["schema"]
        parameters = document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
        assert parameters["properties"].keys() == item["schema"]["properties"].keys()
        result = post["responses"]["200"]["content"]["application/json"]["schema"]
        outputs = result["allOf"][1]["properties"]["result"]["properties"]
        assert list(outputs) == [output["name"] for output in item["outputs"]]
        assert "application/problem+json" in post["responses"]["422"]["content"]


def test_operation_ids_are_unique(cpu_service):
    """Every method of every path has an operationId of its own."""
    paths = cpu_service.get("/openapi.json")["paths"].values()
    ids = [method["operationId"] for path in paths for method in path.values()]
    assert len(ids) == len(set(ids))


async def test_every_route_is_in_the_document(door):
    """What can be asked is documented, and what is documented can be asked."""
    routes = {
        (route.method.lower(), route.resource.canonical)
        for route in door.app.router.routes()
        if route.resource is not None
        and route.method != "HEAD"
        # these have documents of their own: ComfyUI's, and that of its API v2
        and not route.resource.canonical.startswith(("/comfy", "/editor", "/api/v2/"))
    }
    documented = {(path.method, path.template) for path in FIXED}
    documented.add(("post", "/v1/operations/{name}"))  # one typed path for each operation instead
    assert routes == documented


def test_fixed_paths_answer_as_they_say(cpu_service):
    """Every documented GET without a name in it answers with its status, type and shape."""
    for path in FIXED:
        if path.method != "get" or path.names:
            continue
        answer = cpu_service.ask("GET", path.template)
        assert answer.status == path.status, path.template
        kind = path.media_type or "application/json"
        assert answer.headers["content-type"].startswith(kind)
        if path.shape is not None:
            path.shape.model_validate(answer.json())


def test_shapes_hold_nothing_unknown(cpu_service, tone):
    """Real answers have exactly the documented fields (media have their own details besides)."""
    job = cpu_service.run(
        "mixer.mix", {"mix": {"strips": [{"id": "a", "source": tone["reference"]}]}}
    )
    for shape, answer in ((shapes.Job, job), (shapes.Asset, tone)):
        assert answer.keys() == {f.alias or n for n, f in shape.model_fields.items()}


def test_the_docs_page_stands_alone(cpu_service):
    """The page names every operation with unit and range, and loads nothing from anywhere."""
    answer = cpu_service.ask("GET", "/docs")
    page = answer.body.decode()
    for item in cpu_service.get("/v1/operations")["items"]:
        assert f'id="{item["name"]}"' in page
    assert "number dB, ≥ -60, ≤ 0" in page
    assert not re.search(r"<script|<link|<img|https?://", page)
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "sha256-" in answer.headers["content-security-policy"]
