"""Learning rates that rise to a peak and fall from it."""

from __future__ import annotations

import keras
from keras import ops

from keras_tx.layers.base import register


@register
class LinearDecay(keras.optimizers.schedules.LearningRateSchedule):
    """A linear rise to the peak, then a linear fall (Devlin et al. 2019, appendix A.2).

    Args:
        learning_rate: the peak, reached after the warm-up.
        steps: after which `min_learning_rate` is reached, warm-up included; the rate stays there.
        warmup_steps: how long the rate rises. The first step already moves: the rise starts one step above zero.
        min_learning_rate: the last.
    """

    def __init__(self, learning_rate: float, steps: int, warmup_steps: int = 0, min_learning_rate: float = 0.0):
        self.learning_rate, self.steps = learning_rate, steps
        self.warmup_steps, self.min_learning_rate = warmup_steps, min_learning_rate

    def __call__(self, step):
        step = ops.cast(step, "float32")
        rise = (step + 1) / (self.warmup_steps + 1)
        fall = ops.maximum((self.steps - step) / (self.steps - self.warmup_steps), 0.0)
        falling = self.min_learning_rate + (self.learning_rate - self.min_learning_rate) * fall
        return ops.where(step < self.warmup_steps, self.learning_rate * rise, falling)

    def get_config(self) -> dict:
        names = ("learning_rate", "steps", "warmup_steps", "min_learning_rate")
        return {name: getattr(self, name) for name in names}
