"""The MCP door, spoken to by the official client."""

import json

import pytest
from mcp.client.client import Client
from mcp_types import TextContent

JSON = {"Content-Type": "application/json"}


async def test_the_official_client_lists_and_calls(cpu_service, tone):
    """Tools are the operations under underscored names; a call gives the result, structured."""
    async with Client(cpu_service.url + "/mcp") as client:
        listed = (await client.list_tools()).tools
        by_name = {tool.name: tool for tool in listed}
        operations = cpu_service.get("/v1/operations")["items"]
        assert sorted(by_name) == sorted(item["tool"] for item in operations)
        assert by_name["mixer_duck"].input_schema["properties"]["ratio"]["unit"] == ":1"
        called = await client.call_tool(
            "mixer_mix",
            {"mix": {"strips": [{"id": "a", "source": tone["reference"], "fader_db": -6.0}]}},
        )
        assert called.is_error is False
        result = called.structured_content
        assert cpu_service.ask("GET", result["master"]["href"]).status == 200
        (said,) = called.content
        assert isinstance(said, TextContent)
        assert json.loads(said.text) == result
        job = cpu_service.get(f"/v1/jobs/{result['job']}")
        assert job["operation"] == "mixer.mix"


async def test_a_tool_that_fails_says_why(cpu_service, tone):
    """A broken rule is a result with ``isError`` and the problem, so that a model can mend it."""
    async with Client(cpu_service.url + "/mcp") as client:
        called = await client.call_tool(
            "mixer_duck",
            {"music": tone["reference"], "voice": tone["reference"], "ratio": 99.0},
        )
    assert called.is_error is True
    assert called.structured_content["errors"][0]["pointer"] == "/ratio"


def say(service, message, **headers):
    return service.ask("POST", "/mcp", message, headers=headers)


@pytest.mark.parametrize("version", ["2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"])
def test_the_version_is_the_clients(cpu_service, version):
    """A revision that is known here is spoken; another is answered with our newest."""
    message = {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
    answer = say(cpu_service, {**message, "params": {"protocolVersion": version}}).json()
    assert answer["result"]["protocolVersion"] == version
    answer = say(cpu_service, {**message, "params": {"protocolVersion": "1999-01-01"}}).json()
    assert answer["result"]["protocolVersion"] == "2025-11-25"


def test_what_is_no_message(cpu_service):
    """Batches, other protocols and odd shapes are refused; notifications are accepted."""
    for message in ([], [{"jsonrpc": "2.0"}], {"jsonrpc": "1.0", "id": 1, "method": "ping"}):
        assert say(cpu_service, message).status == 400
    note = {"jsonrpc": "2.0", "method": "notifications/initialized"}
    assert say(cpu_service, note).status == 202
    for bad in ({"method": 5}, {"method": "ping", "params": [1]}):
        answer = say(cpu_service, {"jsonrpc": "2.0", "id": 1, **bad}).json()
        assert answer["error"]["code"] == -32600


@pytest.mark.parametrize(
    ("method", "params", "code"),
    [
        ("resources/list", {}, -32601),
        ("tools/call", {"name": "nothing"}, -32602),
        ("tools/call", {}, -32602),
        ("tools/call", {"name": "mixer_mix", "arguments": [1]}, -32602),
    ],
)
def test_unknown_methods_and_tools(cpu_service, method, params, code):
    """The protocol's own errors."""
    message = {"jsonrpc": "2.0", "id": "a", "method": method, "params": params}
    answer = say(cpu_service, message).json()
    assert (answer["id"], answer["error"]["code"]) == ("a", code)


def test_other_methods_and_versions(cpu_service):
    """There is no stream to GET, and no revision that nobody knows."""
    assert cpu_service.ask("GET", "/mcp").status == 405
    message = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    headers = {"Mcp-Protocol-Version": "1999-01-01"}
    assert cpu_service.ask("POST", "/mcp", message, headers=headers).status == 400
