"""`assert_every_door` finds a door that differs; a plugin's tests hear what is wrong with it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pytest
from annotated_types import Ge

from backend import testing
from backend.media.audio import Audio
from backend.operations import Model, operation
from backend.plugins.mixer.document import MixDoc, Strip
from backend.plugins.mixer.operations import duck, mix
from backend.testing import DOORS, Service, assert_every_door, hosted
from backend.testing.doors import slots_of

RATE = 16_000


def tone() -> Audio:
    """A tenth of a second of noise."""
    noise = np.random.default_rng(3).standard_normal((2, RATE // 10)) * 0.1
    return Audio.from_samples(noise.astype(np.float32), RATE)


def test_nested_models_and_values(cpu_service: Service) -> None:
    """Models are written as objects, and plain outputs are compared too; there is no node here."""
    document = MixDoc(strips=[Strip(id="a", source=tone(), fader_db=-6.0)])
    passed = assert_every_door(cpu_service, mix, mix=document)
    assert passed == DOORS[:-1]


def test_nested_models_as_a_node(service: Service) -> None:
    """A document is one text of the derived node, and the references in it are found."""
    strips = [Strip(id="a", source=tone(), fader_db=-6.0), Strip(id="b", source=tone(), pan=0.5)]
    assert assert_every_door(service, mix, mix=MixDoc(strips=strips)) == DOORS


def test_a_door_that_differs_is_named(cpu_service: Service) -> None:
    """The same name with other arithmetic here than in the service is found at the first door."""

    @operation("mixer.duck")
    def other(music: Audio, voice: Audio, threshold_db: Annotated[float, Ge(-60)] = -24.0) -> Audio:
        """Do nothing."""
        return music

    with pytest.raises(AssertionError, match=r"mixer\.duck by http"):
        assert_every_door(cpu_service, other, music=tone(), voice=tone(), threshold_db=-60.0)
    assert "http" in assert_every_door(cpu_service, duck, music=tone(), voice=tone())


def test_a_broken_plugin_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The host fixture raises with the plugin's own reason."""
    (tmp_path / "broken_plugin.py").write_text("raise RuntimeError('half written')")
    monkeypatch.syspath_prepend(tmp_path)
    with (
        pytest.raises(AssertionError, match=r"broken_plugin is unavailable.*half written"),
        hosted("broken_plugin", tmp_path),
    ):
        pytest.fail("a broken plugin was given out")


@pytest.mark.parametrize(
    ("params", "slots"),
    [
        ({"a": 1, "b": None}, {"a": 1}),
        ({"tracks": [{"source": "x", "pan": 0}]}, {"tracks_1_source": "x", "tracks_1_pan": 0}),
        ({"master": {"gain_db": 1}}, {"master_gain_db": 1}),
        ({"sounds": ["x", "y"]}, {"sounds_1": "x", "sounds_2": "y"}),
    ],
)
def test_flat_names(params: dict[str, Any], slots: dict[str, Any]) -> None:
    """The two rules of flat names: an item is counted from 1, a field follows its parent."""
    assert dict(slots_of(params)) == slots


def test_names_that_are_offered() -> None:
    """Everything in ``__all__`` is there; anything else is an AttributeError."""
    assert all(getattr(testing, name) for name in testing.__all__)
    assert issubclass(Strip, Model)
    with pytest.raises(AttributeError):
        _ = testing.nothing
