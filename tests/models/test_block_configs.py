"""A block's config is the block: nothing was set on it after it was made."""

import json

import numpy as np
import pytest
from contract import CASES
from helpers import long_after, made_random, normal, numpy

from keras_tx import GPTModel, attention
from keras_tx.layers import SwinBlock, TransformerBlock
from keras_tx.models.gpt.config import TINY

CONFIGS = {
    **{case.name: case.make for case in CASES},
    "scores by layer": lambda: GPTModel(TINY, scale_attention_by_layer=True),
    "scores as they are": lambda: GPTModel(TINY, scale_attention=False),
    "attention in turn": lambda: GPTModel(TINY, attention=[attention.SlidingWindow(window_size=2), "multi_head"]),
}
SEEN: set[str] = set()
"""Blocks of these configs have been tested: heads of one family have the same."""


@pytest.mark.parametrize("name", long_after(15, CONFIGS))
def test_every_block_of_every_model_is_rebuilt_from_its_config(name, rng):
    model = made_random(CONFIGS[name], rng)
    for block in [layer for layer in model._flatten_layers() if isinstance(layer, TransformerBlock | SwinBlock)]:
        config = json.dumps(block.get_config())
        if config in SEEN:
            continue
        SEEN.add(config)
        copy = type(block).from_config(json.loads(config))
        copy.build()
        copy.set_weights(block.get_weights())
        if isinstance(block, SwinBlock):
            given = {"x": normal(rng, 2, 4, 6, block.dim)}
        else:
            given = {"x": normal(rng, 2, 5, block.d_model)}
            given |= {"context": normal(rng, 2, 3, block.context_dim)} if block.context_dim else {}
            if not getattr(block.attention, "own_table", True):
                vectors = normal(rng, *block.attention.table_shape)
                given["attention_inputs"] = {"relative_embeddings": vectors}
        expected = numpy(block(**given))
        assert expected.std() > 0.1
        np.testing.assert_array_equal(numpy(copy(**given)), expected, err_msg=block.name)
        assert json.dumps(copy.get_config()) == config
