"""Prompts, settings and sizes are found by following the links of every kind of sampler."""

from __future__ import annotations

import pytest


def test_the_plain_sampler(known, a_graph) -> None:
    """KSampler: prompts by its links, settings by its inputs, size by its latent."""
    found = known(a_graph())
    places = {
        "prompt": ["2.text"], "negative_prompt": ["3.text"], "seed": ["5.seed"],
        "steps": ["5.steps"], "guidance": ["5.cfg"], "sampler": ["5.sampler_name"],
        "scheduler": ["5.scheduler"], "denoise": ["5.denoise"], "width": ["4.width"],
        "height": ["4.height"], "batch_size": ["4.batch_size"],
    }  # fmt: skip
    assert {name: found.places(name) for name in places} == places
    assert list(found.parameters)[: len(places)] == list(places)
    assert found["prompt"]["default"] == "a cat"
    assert found["negative_prompt"]["places"][0]["rule"] == (
        "text behind 'negative' of node 5 (KSampler)"
    )


def test_positive_and_negative_are_links_not_order(known, a_graph, a_node) -> None:
    """Crossed links give crossed prompts, whatever comes first or is called what."""
    graph = a_graph()
    graph["5"]["inputs"].update(positive=["3", 0], negative=["2", 0])
    graph["2"]["_meta"] = {"title": "Positive Prompt"}
    found = known(graph)
    assert (found.places("prompt"), found.places("negative_prompt")) == (["3.text"], ["2.text"])


def test_two_stages_share_what_is_equal(known, a_graph, a_node) -> None:
    """KSamplerAdvanced twice: equal values are one parameter; the seed of a stage that draws
    nothing is none; what differs is numbered."""

    def stage(**more):
        return a_node(
            "KSamplerAdvanced", steps=20, cfg=8, sampler_name="euler", scheduler="normal",
            positive=["2", 0], negative=["3", 0], **more,
        )  # fmt: skip

    found = known(
        a_graph(
            _5=stage(add_noise="enable", noise_seed=3, latent_image=["4", 0]),
            _8=stage(add_noise="disable", noise_seed=0, latent_image=["5", 0]),
        )
    )
    assert found.places("seed") == ["5.noise_seed"]
    assert found.places("steps") == ["5.steps", "8.steps"]
    assert found.places("guidance") == ["5.cfg", "8.cfg"]
    assert found["guidance"]["default"] == 8.0
    assert found.places("width") == ["4.width"]
    assert found.places("ksampler_advanced_noise_seed") == ["8.noise_seed"]
    found = known(
        a_graph(
            _5=stage(add_noise="enable", noise_seed=3, latent_image=["4", 0]),
            _8=stage(add_noise="enable", noise_seed=4, latent_image=["5", 0]),
        )
    )
    assert (found.places("seed"), found.places("seed_2")) == (["5.noise_seed"], ["8.noise_seed"])


def custom(a_graph, a_node, guider, **more):
    return a_graph(
        _5=a_node(
            "SamplerCustomAdvanced", noise=["10", 0], guider=["11", 0], sampler=["12", 0],
            sigmas=["13", 0], latent_image=["4", 0],
        ),
        _10=a_node("RandomNoise", noise_seed=5),
        _11=guider,
        _12=a_node("KSamplerSelect", sampler_name="dpmpp_2m"),
        _13=a_node("SplitSigmas", sigmas=["14", 0], step=3),
        _14=a_node("BasicScheduler", scheduler="normal", steps=9, denoise=0.5),
        **more,
    )  # fmt: skip


def test_a_custom_sampler_with_cfg_guider(known, a_graph, a_node) -> None:
    """Noise, guider, sampler and sigmas each bring their part, also through further nodes."""
    guider = a_node("CFGGuider", cfg=3.0, positive=["2", 0], negative=["3", 0])
    found = known(custom(a_graph, a_node, guider))
    wanted = {
        "prompt": ["2.text"], "negative_prompt": ["3.text"], "seed": ["10.noise_seed"],
        "steps": ["14.steps"], "guidance": ["11.cfg"], "sampler": ["12.sampler_name"],
        "scheduler": ["14.scheduler"], "denoise": ["14.denoise"], "width": ["4.width"],
    }  # fmt: skip
    assert {name: found.places(name) for name in wanted} == wanted


def test_flux_guidance_wins_over_cfg(known, a_graph, a_node) -> None:
    """A guidance on the way of the prompt is the one; the sampler's is still there as ``cfg``."""
    guider = a_node("BasicGuider", conditioning=["15", 0])
    more = {"_15": a_node("FluxGuidance", conditioning=["2", 0], guidance=3.5)}
    found = known(custom(a_graph, a_node, guider, **more))
    assert (found.places("prompt"), found.places("guidance")) == (["2.text"], ["15.guidance"])
    assert found.places("negative_prompt") == []
    graph = a_graph(_15=a_node("FluxGuidance", conditioning=["2", 0], guidance=3.5))
    graph["5"]["inputs"].update(positive=["15", 0], cfg=1.0)
    found = known(graph)
    assert (found.places("guidance"), found.places("cfg")) == (["15.guidance"], ["5.cfg"])


def test_flux_encoder_texts_and_guidance(known, a_graph, a_node) -> None:
    """Both texts of one encoder: one prompt where they are equal, two where they are not."""
    encoder = a_node("CLIPTextEncodeFlux", clip_l="a", t5xxl="a", guidance=3.5)
    found = known(a_graph(_2=encoder))
    assert found.places("prompt") == ["2.clip_l", "2.t5xxl"]
    assert found.places("guidance") == ["2.guidance"]
    found = known(a_graph(_2=a_node("CLIPTextEncodeSDXL", text_g="a", text_l="b")))
    assert (found.places("prompt"), found.places("prompt_2")) == (["2.text_g"], ["2.text_l"])
    assert found.places("width") == ["4.width"]


def test_dual_guider(known, a_graph, a_node) -> None:
    """Two positive sides are two prompts."""
    guider = a_node(
        "DualCFGGuider", cond1=["2", 0], cond2=["16", 0], negative=["3", 0], cfg_conds=2.0,
        cfg_cond2_negative=4.0,
    )  # fmt: skip
    more = {"_16": a_node("CLIPTextEncode", text="a dog")}
    found = known(custom(a_graph, a_node, guider, **more))
    assert (found.places("prompt"), found.places("prompt_2")) == (["2.text"], ["16.text"])
    assert found.places("guidance") == ["11.cfg_conds"]


def test_sampler_custom(known, a_graph, a_node) -> None:
    """The simple custom sampler has prompts and seed itself, the rest behind its links."""
    found = known(
        a_graph(
            _5=a_node(
                "SamplerCustom", add_noise=True, noise_seed=8, cfg=2.0, positive=["2", 0],
                negative=["3", 0], sampler=["12", 0], sigmas=["14", 0], latent_image=["4", 0],
            ),
            _12=a_node("KSamplerSelect", sampler_name="euler"),
            _14=a_node("BasicScheduler", scheduler="normal", steps=9, denoise=1.0),
        )
    )  # fmt: skip
    assert found.places("seed") == ["5.noise_seed"]
    assert found.places("steps") == ["14.steps"]
    assert found.places("sampler") == ["12.sampler_name"]


@pytest.mark.parametrize("slot", [0, 1])
def test_each_side_of_a_controlnet_stays_its_own(known, a_graph, a_node, slot: int) -> None:
    """Behind a node with both sides, the walk goes on on the side that it came from."""
    graph = a_graph(
        _8=a_node("ControlNetApplyAdvanced", positive=["2", 0], negative=["3", 0], strength=0.5)
    )
    graph["5"]["inputs"].update(positive=["8", slot], negative=["8", 1 - slot])
    found = known(graph)
    sides = [["2.text"], ["3.text"]]
    assert [found.places("prompt"), found.places("negative_prompt")] == [
        sides[slot], sides[1 - slot],
    ]  # fmt: skip


def test_a_zeroed_text_is_no_negative_prompt(known, a_graph, a_node) -> None:
    """ConditioningZeroOut leaves no negative prompt, whatever text is behind it."""
    for source in ("2", "8"):
        graph = a_graph(
            _3=a_node("ConditioningZeroOut", conditioning=[source, 0]),
            _8=a_node("CLIPTextEncode", text="nothing of this counts"),
        )
        found = known(graph)
        assert found.places("prompt") == ["2.text"]
        assert found.places("negative_prompt") == []


def test_combined_conditionings(known, a_graph, a_node) -> None:
    """Several texts of one side are numbered in the order of their inputs."""
    graph = a_graph(
        _8=a_node("ConditioningCombine", conditioning_1=["2", 0], conditioning_2=["9", 0]),
        _9=a_node("CLIPTextEncode", text="in the rain"),
    )
    graph["5"]["inputs"]["positive"] = ["8", 0]
    found = known(graph)
    assert (found.places("prompt"), found.places("prompt_2")) == (["2.text"], ["9.text"])


def test_reroutes_and_switches_are_followed(known, a_graph, a_node) -> None:
    """Conditioning, text, number and latent come through reroutes and any-switches."""
    graph = a_graph(
        _20=a_node("Reroute", **{"": ["2", 0]}),
        _21=a_node("Any Switch (rgthree)", any_01=["20", 0]),
        _22=a_node("PrimitiveStringMultiline", value="a fox"),
        _23=a_node("Any Switch (rgthree)", any_01=["22", 0]),
        _24=a_node("PrimitiveInt", value=99),
        _25=a_node("Reroute", **{"": ["24", 0]}),
        _26=a_node("Reroute", **{"": ["27", 0]}),
        _27=a_node("RepeatLatentBatch", samples=["4", 0], amount=2),
    )
    graph["2"]["inputs"]["text"] = ["23", 0]
    graph["5"]["inputs"].update(positive=["21", 0], seed=["25", 0], latent_image=["26", 0])
    found = known(graph)
    assert (found.places("prompt"), found["prompt"]["default"]) == (["22.value"], "a fox")
    assert (found.places("seed"), found["seed"]["default"]) == (["24.value"], 99)
    assert found.places("width") == ["4.width"]


def test_a_switch_gives_the_side_that_is_on(known, a_graph, a_node) -> None:
    """A boolean switch: value and text of the side that the graph uses, linked or written."""
    for on, wanted in ((True, ["30.value"]), (False, ["31.value"])):
        graph = a_graph(
            _30=a_node("PrimitiveInt", value=4),
            _31=a_node("PrimitiveInt", value=20),
            _32=a_node("PrimitiveBoolean", value=on),
            _33=a_node("ComfySwitchNode", switch=["32", 0], on_true=["30", 0], on_false=["31", 0]),
            _34=a_node("ComfySwitchNode", switch=on, on_true="day", on_false="night"),
        )
        graph["5"]["inputs"]["steps"] = ["33", 0]
        graph["2"]["inputs"]["text"] = ["34", 0]
        found = known(graph)
        assert found.places("steps") == wanted
        assert found.places("prompt") == ["34.on_true" if on else "34.on_false"]


def test_joined_texts_are_several_prompts(known, a_graph, a_node) -> None:
    """A text put together of two nodes has two places."""
    graph = a_graph(
        _8=a_node("StringConcatenate", string_a=["9", 0], string_b=["10", 0], delimiter=" "),
        _9=a_node("PrimitiveStringMultiline", value="one"),
        _10=a_node("PrimitiveStringMultiline", value="two"),
    )
    graph["2"]["inputs"]["text"] = ["8", 0]
    found = known(graph)
    assert (found.places("prompt"), found.places("prompt_2")) == (["9.value"], ["10.value"])


def test_what_describes_a_picture_is_told_apart_from_the_prompt(known, a_graph, a_node) -> None:
    """A Qwen2-VL node behind an any-switch: its instruction is an input of its own, and the text
    that stands beside it is the prompt."""
    graph = a_graph(
        _8=a_node("Any Switch (rgthree)", any_01=["9", 0], any_02=["10", 0]),
        _9=a_node("Qwen2_VQA", "Look", text="Describe it.", image=["11", 0], seed=1),
        _10=a_node("PrimitiveStringMultiline", value="by hand"),
        _11=a_node("LoadImage", image="example.png"),
    )
    graph["2"]["inputs"]["text"] = ["8", 0]
    found = known(graph)
    assert found.places("prompt") == ["10.value"]
    assert (found.places("look_text"), found.places("look_seed")) == (["9.text"], ["9.seed"])
    assert found.places("seed") == ["5.seed"]


def test_an_image_to_image_graph_has_no_size(known, a_graph, a_node) -> None:
    """Behind VAEEncode no size is looked for; the picture is an asset."""
    found = known(
        a_graph(
            _4=a_node("VAEEncode", pixels=["8", 0], vae=["1", 2]),
            _8=a_node("LoadImage", image="example.png"),
        )
    )
    assert "width" not in found.parameters
    assert found.places("image") == ["8.asset"]


def test_without_a_sampler_the_only_size_counts(known, a_node) -> None:
    """One node with width and height is the size; of two neither is."""
    empty = a_node("EmptyLatentImage", width=64, height=32, batch_size=1)
    found = known({"1": empty})
    assert found.places("width") == ["1.width"]
    found = known({"1": empty, "2": empty})
    assert found.places("width") == []
    assert found.places("empty_latent_image_width_2") == ["2.width"]
