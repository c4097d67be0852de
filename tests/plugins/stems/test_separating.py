"""A mix is taken apart at its own level, rate, length and channels, in pieces without seams."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
import torch
from demucs.api import Separator

from backend.context import Cancelled, Context
from backend.errors import InvalidParameters
from backend.media.audio import Audio
from backend.media.finite import Unfit
from backend.media.resampling import resampled
from backend.plugins import LOCAL
from backend.plugins.stems import separating
from backend.plugins.stems.loading import load
from backend.plugins.stems.results import Separated
from backend.plugins.stems.separating import Settings

SECONDS = 7


@pytest.fixture(scope="module")
def model(models: Path):
    return load("htdemucs", models)


def music(rate: int = 44100, channels: int = 2, seconds: float = SECONDS) -> Audio:
    """A chord with noise bursts, another one on each side."""
    t = np.arange(int(rate * seconds)) / rate
    noise = np.random.default_rng(3).normal(size=t.size) * (np.sin(2 * np.pi * 2 * t) > 0.9) * 0.1
    sides = [np.sin(2 * np.pi * hz * t) * 0.2 + noise for hz in (110.0, 165.0)]
    return Audio.from_samples(np.stack(sides[:channels]), rate)


def separate(audio: Audio, model, ctx: Context = LOCAL, **settings) -> Separated:
    return separating.separated(audio, model, Settings(**settings), ctx)


def test_it_is_what_demucs_itself_gives(models: Path, model) -> None:
    """Sources equal those of Demucs's own `Separator` on the same samples."""
    mix = music()
    own = Separator("htdemucs", device="cpu", shifts=0, progress=False, repo=_repo(models))
    own._model = model
    _, expected = own.separate_tensor(torch.from_numpy(mix.samples.copy()), 44100)
    found = separate(mix, model)
    assert list(found.stems) == list(expected)
    for name, samples in expected.items():
        assert np.abs(found.stems[name].samples - samples.numpy()).max() < 1e-5


def _repo(models: Path) -> Path:
    """A folder that Demucs's `Separator` can be made with; its model is replaced afterwards."""
    from demucs.htdemucs import HTDemucs
    from demucs.states import save_with_checksum

    repo = models / "th"
    repo.mkdir(exist_ok=True)
    if not list(repo.iterdir()):
        network = load("htdemucs", models).models[0]
        args, made_with = network._init_args_kwargs
        state = {
            "klass": HTDemucs, "args": args, "kwargs": made_with, "state": network.state_dict(),
        }  # fmt: skip
        save_with_checksum(state, repo / "tiny.th")
        (repo / "htdemucs.yaml").write_text("models: ['tiny']\n")
    return repo


@pytest.mark.parametrize("shifts", [0, 2])
def test_pieces_have_no_seams(model, monkeypatch, shifts: int) -> None:
    """In pieces of 2 s the result is that of the whole."""
    mix = music(seconds=11)
    whole = separate(mix, model, shifts=shifts)
    monkeypatch.setattr(separating, "PIECE_S", 2.0)
    pieces = separate(mix, model, shifts=shifts)
    for name in whole.stems:
        difference = np.abs(whole.stems[name].samples - pieces.stems[name].samples)
        assert difference.max() < 1e-5


def test_networks_of_unlike_segments_share_no_seam(models: Path, monkeypatch) -> None:
    """Segments of 2 and 0.9 s meet on a common grid only after hours: pieces stay short all the
    same, and the result is that of the whole."""
    mix, unlike = music(seconds=11), load("unlike", models)
    whole = separate(mix, unlike)
    monkeypatch.setattr(separating, "PIECE_S", 2.0)
    assert separating._Separation(mix, unlike, separating.Settings(), LOCAL)._core < 5 * 44100
    pieces = separate(mix, unlike)
    for name in whole.stems:
        difference = np.abs(whole.stems[name].samples - pieces.stems[name].samples)
        assert difference.max() < 1e-5


def test_the_level_comes_back(model) -> None:
    """A tenth of the mix gives a tenth of each stem: what was levelled is levelled back."""
    loud = music()
    quiet = Audio.from_samples(loud.samples * np.float32(0.1), 44100)
    a, b = separate(loud, model), separate(quiet, model)
    for name in a.stems:
        assert np.abs(a.stems[name].samples).max() > 1e-3
        assert np.allclose(a.stems[name].samples * 0.1, b.stems[name].samples, atol=1e-6)


@pytest.mark.parametrize(("rate", "channels"), [(48000, 1), (22050, 2), (96000, 2)])
def test_rate_channels_and_length_are_the_mixs(model, rate: int, channels: int) -> None:
    """Stems fit the mix, whatever the model's own rate is, and sound at the same time."""
    mix = music(rate, channels, 3.01)
    result = separate(mix, model, two_stems="bass")
    for stem in result.stems.values():
        assert (stem.sample_rate, stem.channels, stem.frames) == (rate, channels, mix.frames)
    at_the_models = separate(resampled(mix, 44100), model, two_stems="bass").stems["bass"]
    expected = resampled(at_the_models, rate).samples
    found = result.stems["bass"].samples
    both = min(expected.shape[1], found.shape[1])
    assert np.abs(expected[:, :both] - found[:, :both]).max() < 1e-4 < np.abs(expected).max()


def test_two_stems_add_up_to_the_mix(model) -> None:
    """The one asked for and the rest."""
    mix = music()
    result = separate(mix, model, two_stems="vocals")
    assert list(result.stems) == ["vocals", "no_vocals"]
    total = sum(stem.samples for stem in result.stems.values())
    assert np.abs(total - mix.samples).max() < 1e-6


def test_the_residual_is_returned_or_distributed(model) -> None:
    """With it, the stems add up to the mix; left out, they do not."""
    mix = music()
    left, returned, shared = (
        separate(mix, model, residual=each) for each in ("leave", "return", "distribute")
    )
    sums = [sum(s.samples for s in each.stems.values()) for each in (left, returned, shared)]
    assert left.residual is None
    assert returned.residual is not None
    assert np.abs(sums[0] - mix.samples).max() > 0.01
    assert np.abs(sums[1] + returned.residual.samples - mix.samples).max() < 1e-6
    assert np.abs(sums[2] - mix.samples).max() < 1e-6


def test_shifts_are_drawn_from_the_seed(model) -> None:
    """Equal seeds give equal stems, other seeds others; Python's own random numbers go on."""
    mix = music(seconds=3)
    random.seed(5)
    before = random.getstate()
    one, same, other = (separate(mix, model, shifts=1, seed=seed) for seed in (1, 1, 2))
    assert random.getstate() == before
    bass = [each.stems["bass"].samples for each in (one, same, other)]
    assert np.array_equal(bass[0], bass[1])
    assert not np.array_equal(bass[0], bass[2])


def test_six_stems(models: Path) -> None:
    """A model with six sources gives six."""
    result = separate(music(seconds=1), load("htdemucs_6s", models))
    assert list(result.stems) == ["drums", "bass", "other", "vocals", "guitar", "piano"]


def test_progress_rises_to_the_end_and_a_cancel_is_heard(model, monkeypatch) -> None:
    """Progress never falls; a cancel ends the run within a segment."""
    monkeypatch.setattr(separating, "PIECE_S", 2.0)
    told: list[float] = []
    ctx = Context(on_progress=lambda done, total, node: told.append(done / total))
    separate(music(), model, ctx, shifts=2)
    assert told == sorted(told)
    assert len(told) > 8
    assert 0.7 < told[-1] <= 1.0
    heard: list[float] = []
    ending = Context(
        on_progress=lambda done, total, node: heard.append(done), is_cancelled=lambda: bool(heard)
    )
    with pytest.raises(Cancelled):
        separate(music(), model, ending)
    assert len(heard) == 1


def test_silence_stays_silence(model) -> None:
    """Nothing is made out of nothing."""
    result = separate(Audio.from_samples(np.zeros((2, 44100)), 44100), model)
    assert all(np.abs(stem.samples).max() < 1e-6 for stem in result.stems.values())


def test_one_sample_is_taken_apart(model) -> None:
    """The shortest sound there is comes back with its length."""
    result = separate(Audio.from_samples([[0.5], [0.5]], 44100), model)
    assert all(stem.samples.shape == (2, 1) for stem in result.stems.values())


@pytest.mark.parametrize(
    ("samples", "settings", "pointer"),
    [
        (np.zeros((3, 100)), {}, "/audio"),
        (np.zeros((2, 0)), {}, "/audio"),
        (np.zeros((2, 100)), {"two_stems": "kazoo"}, "/two_stems"),
    ],
)
def test_what_cannot_be_taken_apart_is_told(model, samples, settings, pointer) -> None:
    """Channels, emptiness and unknown sources are named."""
    with pytest.raises(InvalidParameters) as caught:
        separate(Audio.from_samples(samples, 44100), model, **settings)
    assert caught.value.errors[0].pointer == pointer


def test_what_is_no_number_is_told(model) -> None:
    """NaN does not come out as stems."""
    with pytest.raises(Unfit, match="NaN"):
        separate(Audio.from_samples([[0.0, np.nan], [0.0, 0.0]], 44100), model)
