"""What the configs of LLaMA, Mistral and Mixtral say in either language."""

import pytest

from keras_tx.attention import SlidingWindow
from keras_tx.layers import Experts
from keras_tx.models import GPTConfig
from keras_tx.models.gpt.config import TINY_LLAMA
from keras_tx.models.gpt.llama import FAMILIES, LLAMA, MISTRAL, MIXTRAL
from keras_tx.ops import Rotary, RotaryScaling

LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}


def rotary(config: dict) -> Rotary:
    return LLAMA.fields(config, "GPTModel")["rotary"]


@pytest.mark.parametrize(
    "said",
    [{"rope_theta": 77.0}, {"rope_parameters": {"rope_type": "default", "rope_theta": 77.0}}],
    ids=["version 4", "version 5"],
)
def test_the_base_of_the_rotations(said):
    assert rotary(said) == Rotary(rope_theta=77.0)
    assert rotary({}) == Rotary(rope_theta=10000.0)


@pytest.mark.parametrize(
    ("said", "scaling", "longest"),
    [
        ({"type": "linear", "factor": 2.0}, RotaryScaling(rope_type="linear", factor=2.0), 40),
        (
            {"type": "dynamic", "factor": 2.0},
            RotaryScaling(rope_type="dynamic", factor=2.0, original_max_positions=40),
            80,
        ),
        (
            {**LLAMA3, "original_max_position_embeddings": 8},
            RotaryScaling(
                rope_type="llama3",
                factor=8.0,
                original_max_positions=8,
                low_freq_factor=1.0,
                high_freq_factor=4.0,
            ),
            40,
        ),
        (
            {"rope_type": "yarn", "factor": 4.0},
            RotaryScaling(rope_type="yarn", factor=4.0, original_max_positions=40),
            160,
        ),
        (
            {
                "rope_type": "yarn",
                "factor": None,
                "original_max_position_embeddings": 8,
                "beta_fast": 9,
                "mscale": 1.0,
                "mscale_all_dim": 1.0,
                "truncate": False,
            },
            RotaryScaling(
                rope_type="yarn",
                factor=5.0,
                original_max_positions=8,
                beta_fast=9,
                attention_factor=1.0,
                truncate=False,
            ),
            40,
        ),
    ],
    ids=["linear", "dynamic", "llama3", "yarn", "yarn with all it may say"],
)
@pytest.mark.parametrize("entry", ["rope_scaling", "rope_parameters"])
def test_scaled_rotations(entry, said, scaling, longest):
    """And how long texts may be, as the length of training is the longest only where nothing else is said."""
    fields = LLAMA.fields({"max_position_embeddings": 40, entry: said}, "GPTModel")
    assert fields["rotary"] == Rotary(scaling=scaling)
    assert fields["max_positions"] == longest
    written = LLAMA.config(GPTConfig.from_dict(fields).to_dict(), "GPTModel")
    again = LLAMA.fields(written, "GPTModel")
    assert again["max_positions"] == longest
    scalings = [scaling, again["rotary"].scaling]
    assert len({x.rope_type for x in scalings}) == 1
    assert len({(x.attention_scaling, x.beta_fast, x.beta_slow) for x in scalings}) == 1


def test_rotations_that_are_not_known_are_refused():
    with pytest.raises(ValueError, match="of type 'longrope'; known are 'default', 'linear'"):
        rotary({"rope_parameters": {"rope_type": "longrope", "factor": 2.0}})
    with pytest.raises(ValueError, match=r"partial_rotary_factor=0\.5"):
        rotary({"partial_rotary_factor": 0.5})
    for ours in (Rotary(interleaved=True), Rotary(dim=2), Rotary(scaling=RotaryScaling(rope_type="ntk", factor=2.0))):
        with pytest.raises(ValueError, match=r"`rotary=Rotary\(.*cannot be said in this format"):
            LLAMA.config(TINY_LLAMA.replace(rotary=ours).to_dict(), "GPTModel")


def test_what_is_written_reads_back():
    config = TINY_LLAMA.replace(feed_forward_bias=True, rotary=Rotary(rope_theta=77.0))
    written = LLAMA.config(config.to_dict(), "GPTModel")
    assert written["mlp_bias"] is True and written["attention_bias"] is False and written["num_key_value_heads"] == 1
    assert GPTConfig.from_dict(LLAMA.fields(written, "GPTModel")) == config


def test_how_weights_began_is_not_the_formats():
    """A model of fields alone, which starts as GPT-2 does, is saved too."""
    config = TINY_LLAMA.replace(scale_residual_init=True)
    assert LLAMA.config(config.to_dict(), "GPTModel") == LLAMA.config(TINY_LLAMA.to_dict(), "GPTModel")


def test_what_llama_does_not_have_is_refused():
    with pytest.raises(ValueError, match="`norm='rms'`, and this model 'layer'"):
        LLAMA.config(TINY_LLAMA.replace(norm="layer").to_dict(), "GPTModel")


# === Mistral and Mixtral ===


def test_windows_and_experts_in_either_language():
    config = GPTConfig.from_dict(MISTRAL.fields({"sliding_window": 5}, "GPTModel"))
    assert config.attention == SlidingWindow(window_size=5) and config.num_kv_heads == 8
    assert MISTRAL.config(config.to_dict(), "GPTModel")["sliding_window"] == 5
    assert MISTRAL.fields({"sliding_window": None}, "GPTModel")["attention"] is None

    fields = MIXTRAL.fields({"num_local_experts": 4, "num_experts_per_tok": 3, "num_hidden_layers": 6}, "GPTModel")
    assert fields["experts"] == Experts(num_experts=4, top_k=3, router_aux_loss_coef=0.0, norm_topk_prob=True)
    assert fields["rotary"] == Rotary(rope_theta=1e6) and fields["attention"] is None
    balanced = {"num_hidden_layers": 6, "output_router_logits": True, "router_aux_loss_coef": 0.3}
    config = GPTConfig.from_dict(MIXTRAL.fields(balanced, "GPTModel"))
    assert config.experts.router_aux_loss_coef == pytest.approx(0.1)
    written = MIXTRAL.config(config.to_dict(), "GPTModel")
    assert written["output_router_logits"] is True and written["router_aux_loss_coef"] == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"attention": SlidingWindow(window_size=3, num_global=1)}, "`attention=SlidingWindow.*cannot be said"),
        ({"attention": "linear"}, "`attention=Linear.*cannot be said"),
        ({"experts": Experts(capacity_factor=1.0)}, "`experts=Experts.*cannot be said"),
        ({"experts": Experts(norm_topk_prob=False)}, "`experts=Experts.*cannot be said"),
    ],
)
def test_what_mixtral_does_not_have_is_refused(fields, message):
    config = TINY_LLAMA.replace(**{"experts": Experts(), **fields})
    with pytest.raises(ValueError, match=message):
        MIXTRAL.config(config.to_dict(), "GPTModel")


def test_the_format_follows_from_the_model():
    configs = {
        "llama": TINY_LLAMA,
        "mistral": TINY_LLAMA.replace(attention=SlidingWindow(window_size=3)),
        "mixtral": TINY_LLAMA.replace(attention=SlidingWindow(window_size=3), experts=Experts()),
    }
    for name, config in configs.items():
        fewest = min(FAMILIES, key=lambda family: len(family.differences(config.to_dict())))
        assert fewest.model_type == name and not fewest.differences(config.to_dict())
