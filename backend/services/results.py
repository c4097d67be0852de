"""Results: from the files that a worker left in its scratch folder to assets.

Knows: the leaves of a result and the flat names of its files.
Does not know: how an asset is kept, nor whether a worker tells the truth (``services.assets``).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backend.services.invocation import LEAF, flat_name
from backend.services.ledger import Statement

if TYPE_CHECKING:
    from backend.services.assets import Asset, Assets


async def adopt(
    result: dict[str, Any], job_id: str, folder: Path, assets: Assets
) -> tuple[dict[str, Any], list[Statement]]:
    """The result with assets instead of files, and the statements that make their rows; *result*
    itself is changed.

    Raises `OperationFailed` if a leaf names a file that does not lie in *folder*, or brings bytes
    that are not what it says.
    """
    statements: list[Statement] = []
    for holder, key, name in list(_media(result)):
        leaf = holder[key]
        if "content" in leaf[LEAF]:
            asset, keeping = assets.keep(leaf)
            statements.append(keeping)
        else:
            asset = await assets.place(leaf, folder)
        statements.append(assets.insert_statement(asset))
        holder[key] = _present(asset, job_id, name)
    return result, statements


def _media(holder: Any, *above: str | int) -> Iterator[tuple[Any, Any, str]]:
    """Every leaf in a worker's result: what holds it, at which key, and its flat name."""
    count = isinstance(holder, list)
    for key, value in enumerate(holder) if count else holder.items():
        if not value or not isinstance(value, dict | list):
            continue
        here = (*above, key + 1 if count else key)
        if isinstance(value, dict) and LEAF in value:
            yield holder, key, flat_name(*here)
        else:
            yield from _media(value, *here)


def leaves(value: Any) -> Iterator[dict[str, Any]]:
    """The media of an adopted result."""
    if isinstance(value, dict):
        if _is_leaf(value):
            yield value
        else:
            for item in value.values():
                yield from leaves(item)
    elif isinstance(value, list):
        for item in value:
            yield from leaves(item)


def readdressed(value: Any, job_id: str) -> Any:
    """An adopted result as that of another job, which shares its assets."""
    if isinstance(value, dict):
        if _is_leaf(value):
            return {**value, "href": _href(job_id, value["href"].rpartition("/")[2])}
        return {key: readdressed(item, job_id) for key, item in value.items()}
    return [readdressed(item, job_id) for item in value] if isinstance(value, list) else value


def _is_leaf(value: dict[str, Any]) -> bool:
    return "asset" in value and "href" in value


def _href(job_id: str, name: str) -> str:
    return f"/v1/jobs/{job_id}/outputs/{name}"


def find(result: dict[str, Any], name: str) -> dict[str, Any] | None:
    """The output of this flat name in an adopted result."""

    def walk(value: Any, here: str) -> dict[str, Any] | None:
        if isinstance(value, dict) and _is_leaf(value):
            return value if here == name else None
        items: list[tuple[str | int, Any]] = []
        if isinstance(value, dict):
            items = list(value.items())
        elif isinstance(value, list):
            items = list(enumerate(value, 1))
        for key, item in items:
            found = walk(item, flat_name(here, key))
            if found is not None:
                return found
        return None

    for field, value in result.items():
        found = walk(value, field)
        if found is not None:
            return found
    return None


def _present(asset: Asset, job_id: str, name: str) -> dict[str, Any]:
    return {
        **asset.details,
        "kind": asset.kind,
        "reference": asset.reference,
        "asset": asset.id,
        "media_type": asset.media_type,
        "file_name": asset.file_name,
        "size": asset.size,
        "href": _href(job_id, name),
    }
