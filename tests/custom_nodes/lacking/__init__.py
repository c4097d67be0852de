"""A pack that imports what is not installed."""

import a_module_that_nobody_has.inside  # type: ignore[import-not-found]  # noqa: F401
