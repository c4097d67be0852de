"""The sections of the console: what happens to samples between a source and the master.

Knows: gate, compressor, equalizer, delay, level and place, drive, limiter; one module each.
Does not know: documents, sources, files, or the order of the sections on a strip.

docs/dsp.md defines every section in words; what is here and what is written there are equal.
"""
