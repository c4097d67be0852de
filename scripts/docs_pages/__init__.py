"""The pages that `scripts/docs.py` writes; one module a page, each with `page()`."""
