"""What `GoodShout` says."""

TONES = ["friendly", "stern"]


def shout(text, times, loud):
    said = " ".join([text] * times)
    return said.upper() if loud else said
