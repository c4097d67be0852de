"""From a graph to the parameters of a stored workflow.

Knows: which module does what: ``definitions`` reads what node classes take, ``tracing`` follows
links, ``roles`` tells prompts and sampler settings apart, ``loaders`` makes files into assets,
``kinds`` says what fits an input, ``finding`` puts it together.
Does not know: ComfyUI; what nodes take is given as ``/object_info`` tells it.
"""
