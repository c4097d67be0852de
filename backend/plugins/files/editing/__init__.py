"""Sound editing: the operations ``audio.*``, each from sound to sound.

Knows: nothing; the operations are in ``operations``, what they do in the modules beside it.
Does not know: files and formats.
"""
