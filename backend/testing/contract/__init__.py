"""The upgrade contract: what a ComfyUI tree must do so that Kino can be built on it.

Knows: thirteen steps, in paths that each run in a process of their own, on the CPU, with real
models as small as can be.
Does not know: where a tree comes from, and what happens after (``scripts/comfyui.py upgrade``).

    python -P -m backend.testing.contract TREE --into FOLDER [--overlay FOLDER] [--short]

needs no service, no network and no weights, and leaves ``report.json`` in the folder.
"""
