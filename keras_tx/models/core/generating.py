"""What a model that generates has beyond its config and weights: the options that it generates with."""

from __future__ import annotations

from typing import Any

from keras_tx import convert
from keras_tx.generation import GenerationConfig, GenerationMixin
from keras_tx.generation.defaults import SPECIAL_TOKENS
from keras_tx.models.core.config import Config
from keras_tx.models.core.head import HeadModel


class GeneratingModel(GenerationMixin, HeadModel):
    """A model that generates, with the options of its checkpoint where `generate` is given none.

    Attributes:
        generation_config: these options, as `generation_config.json` has them; another may be set.
    """

    def restore(self, checkpoint: convert.CheckpointDirectory, saved: Config) -> list[str]:
        try:
            found, lacking = GenerationConfig.read(checkpoint.generation)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{checkpoint.path / convert.GENERATION_CONFIG}: {error}") from None
        # Special tokens are in the model's config too, and may have been overridden there.
        known = saved.to_dict()
        same = [name for name in SPECIAL_TOKENS if getattr(found, name) == known.get(name)]
        self.generation_config = found.replace(**dict.fromkeys(same))
        notes = super().restore(checkpoint, saved)
        if lacking:
            names = ", ".join(lacking)
            notes.append(f"{convert.GENERATION_CONFIG} asks for {names}, which `generate` does not have: left out")
        return notes

    def generation_options(self) -> dict[str, Any]:
        tokens = {name: value for name, value in self.config.to_dict().items() if name in SPECIAL_TOKENS}
        given = {name: value for name, value in tokens.items() if value is not None}
        return given | self.generation_config.to_dict()

    def get_config(self):
        options = self.generation_config.to_dict()
        return super().get_config() | ({"generation_config": options} if options else {})

    @classmethod
    def from_config(cls, config):
        config = dict(config)
        options = config.pop("generation_config", {})
        model = super().from_config(config)
        model.generation_config = GenerationConfig(**options)
        return model
