"""A pack that ends the process, as a fault in a library does."""

import os

os._exit(7)
