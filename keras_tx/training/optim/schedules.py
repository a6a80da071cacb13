"""Learning rates that rise to a peak and fall from it."""

from __future__ import annotations

import keras
from keras import ops

from keras_tx.layers.core.base import register
from keras_tx.ops.checks import require_positive


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


@register
class InverseSquareRoot(keras.optimizers.schedules.LearningRateSchedule):
    """A linear rise, then a fall by the inverse square root of the step (Vaswani et al. 2017, equation 3).

    At step s, counted from 1, it is `scale * d_model**-0.5 * min(s**-0.5, s * warmup_steps**-1.5)`; its peak, after
    the warm-up, is `scale * (d_model * warmup_steps)**-0.5`.

    Args:
        d_model: the model's width.
        warmup_steps: how long the rate rises.
        scale: multiplies it all; 1 in the paper.

    Raises:
        ValueError: for a `d_model` or `warmup_steps` less than 1.
    """

    def __init__(self, d_model: int, warmup_steps: int = 4000, scale: float = 1.0):
        require_positive(d_model=d_model, warmup_steps=warmup_steps)
        self.d_model, self.warmup_steps, self.scale = d_model, warmup_steps, scale

    def __call__(self, step):
        step = ops.cast(step, "float32") + 1
        rate = ops.minimum(ops.rsqrt(step), step * self.warmup_steps**-1.5)
        return self.scale * self.d_model**-0.5 * rate

    def get_config(self) -> dict:
        return {name: getattr(self, name) for name in ("d_model", "warmup_steps", "scale")}
