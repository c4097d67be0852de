"""The Comfy API v2: jobs and assets as Comfy's own clients ask for them, below ``/api/v2``.

Knows: its form, its codes and its links.
Does not know: anything of Kino's own API; an extra of ours has no place in this strict surface.

The contract is ``spec/openapi.yaml`` of https://github.com/Comfy-Org/comfy-python-sdk; its client
works with ``COMFY_BASE_URL`` alone.
"""
