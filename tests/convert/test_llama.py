"""What the configs of LLaMA say in either language."""

import pytest

from keras_tx.convert.llama import LLAMA
from keras_tx.models import GPTConfig
from keras_tx.models.gpt import TINY_LLAMA


@pytest.mark.parametrize(
    "said",
    [{"rope_theta": 77.0}, {"rope_parameters": {"rope_type": "default", "rope_theta": 77.0}}],
    ids=["version 4", "version 5"],
)
def test_the_base_of_the_rotations(said):
    assert LLAMA.fields(said, "GPTModel")["rotary_base"] == 77.0
    assert LLAMA.fields({}, "GPTModel")["rotary_base"] == 10000.0


@pytest.mark.parametrize("entry", ["rope_scaling", "rope_parameters"])
def test_scaled_rotations_are_refused(entry):
    with pytest.raises(ValueError, match="rotary embeddings of type 'linear'"):
        LLAMA.fields({entry: {"type": "linear", "factor": 2.0}}, "GPTModel")


def test_what_is_written_reads_back():
    config = TINY_LLAMA.replace(feed_forward_bias=True, rotary_base=77.0)
    written = LLAMA.config(config.to_dict(), "GPTModel")
    assert written["mlp_bias"] is True and written["attention_bias"] is False and written["num_key_value_heads"] == 1
    assert GPTConfig.from_dict(LLAMA.fields(written, "GPTModel")) == config


def test_what_llama_does_not_have_is_refused():
    with pytest.raises(ValueError, match="`norm='rms'`, and this model 'layer'"):
        LLAMA.config(TINY_LLAMA.replace(norm="layer").to_dict(), "GPTModel")
