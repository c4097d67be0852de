"""A pack that raises, when half of it is there."""

import nodes

nodes.NODE_CLASS_MAPPINGS["RaisingHalf"] = object
raise RuntimeError("no driver: /opt/secret/driver.so")
