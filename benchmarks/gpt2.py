"""GPT-2 in both libraries, of equal sizes."""

from __future__ import annotations

from typing import NamedTuple

from benchmarks.jobs import Options


class Sizes(NamedTuple):
    vocabulary: int
    positions: int
    layers: int
    heads: int
    width: int
    parameters: int
    """How many all of these come to: both sides are held to it."""

    @property
    def bytes_read(self) -> int:
        """Bytes of float32 weights that one forward pass reads: all but the position table, of which it reads rows."""
        return 4 * (self.parameters - self.positions * self.width)


SMALL = Sizes(vocabulary=50257, positions=1024, layers=12, heads=12, width=768, parameters=124_439_808)
TINY = Sizes(vocabulary=97, positions=24, layers=2, heads=2, width=16, parameters=8_528)


def sizes(options: Options) -> Sizes:
    return TINY if options.tiny else SMALL


def keras_tx_model(options: Options):
    """Our GPT-2, with GPT-2's dropout of 0.1 on embeddings, attention weights and branches."""
    import keras_tx

    s = sizes(options)
    return _counted(
        keras_tx.GPTModel(
            vocab_size=s.vocabulary,
            max_positions=s.positions,
            num_layers=s.layers,
            num_heads=s.heads,
            d_model=s.width,
        ),
        s,
    )


def keras_hub_model(options: Options):
    """KerasHub's GPT-2, with the same dropout."""
    import keras_hub

    s = sizes(options)
    backbone = keras_hub.models.GPT2Backbone(
        vocabulary_size=s.vocabulary,
        num_layers=s.layers,
        num_heads=s.heads,
        hidden_dim=s.width,
        intermediate_dim=4 * s.width,
        dropout=0.1,
        max_sequence_length=s.positions,
    )
    return _counted(keras_hub.models.GPT2CausalLM(backbone, preprocessor=None), s)


def _counted(model, s: Sizes):
    if model.count_params() != s.parameters:
        raise AssertionError(f"{model.name} has {model.count_params()} parameters, not {s.parameters}")
    return model
