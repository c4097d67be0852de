"""From the graph editor's document to the graph that the executor takes.

Knows: which module does what: ``document`` reads, ``widgets`` names the values, ``flattening``
follows links through subgraphs, bypassed and virtual nodes, ``converting`` puts it together.
Does not know: ComfyUI; what nodes take is given as ``/object_info`` tells it.
"""
