"""Messages of foreign code: no path leaves the service."""

from __future__ import annotations

import time

import pytest

from backend.bricks.wording import LONGEST, without_paths


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("no file /srv/kino/models/vae/x.safetensors", "no file x.safetensors"),
        ("[Errno 2] No such file: '/etc/ssl/private/key.pem'", "[Errno 2] No such file: 'key.pem'"),
        (r"cannot open C:\Users\me\model.ckpt now", "cannot open model.ckpt now"),
        ("(/a/b/c.py:12) failed", "(c.py:12) failed"),
        ("see ~/kino/data/log.txt", "see log.txt"),
        ("cannot read '/srv/my models/a b.ckpt' now", "cannot read 'a b.ckpt' now"),
        ('in "/srv/folder/"', 'in "a folder"'),
        ("a ratio of 3/4 and 16/9", "a ratio of 3/4 and 16/9"),
        ("shapes [1/2/3] and n/a", "shapes [1/2/3] and n/a"),
        ("two\nlines\t here", "two lines here"),
        ("https://example.org/a/b is fine", "https://example.org/a/b is fine"),
    ],
)
def test_a_path_is_cut_down_to_its_last_name(text, shown):
    """Absolute paths lose their folders; everything else stays."""
    assert without_paths(text) == shown


@pytest.mark.parametrize("text", ["x" * 10**6, "/a" * 10**5, "'/" * 10**5, "/" * 10**5])
def test_long_messages_are_cut_in_no_time(text):
    """A message is at most 500 characters, and no pattern runs away."""
    started = time.process_time()
    assert len(without_paths(text)) <= LONGEST
    assert time.process_time() - started < 1.0
