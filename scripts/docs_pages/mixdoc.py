"""docs/mixdoc.schema.json: the JSON Schema of a mix as one document.

Knows: how the schema is published: dialect, title, and the document's version in its name.
Does not know: what a mix consists of.
"""

from __future__ import annotations

import json

from backend.plugins.mixer.document import VERSION, MixDoc
from docs_pages.text import whole


def page() -> str:
    """The file."""
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$comment": "Written by scripts/docs.py: change backend/plugins/mixer/document.py instead.",
        **whole(MixDoc.model_json_schema()),
        "title": f"MixDoc, version {VERSION}",
    }
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
