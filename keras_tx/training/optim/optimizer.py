"""AdamW as transformers are trained with it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import keras

from keras_tx.layers.core.base import register
from keras_tx.training.optim.schedules import LinearDecay


@register
class LayerwiseAdamW(keras.optimizers.Adam):
    """AdamW (Loshchilov & Hutter 2019) in which every weight has a learning rate and a weight decay of its own.

    Args:
        learning_rate: a rate or a schedule.
        scales: by what each weight's learning rate is multiplied, in the order of the weights it is built with.
        weight_decays: the share of each weight, times its learning rate, that is taken off at each step; likewise.
        options: what else Keras's `Adam` takes.
    """

    def __init__(self, learning_rate, scales: Sequence[float], weight_decays: Sequence[float], **options):
        super().__init__(learning_rate, **options)
        self.scales, self.weight_decays = tuple(scales), tuple(weight_decays)

    def build(self, variables):
        if not len(variables) == len(self.scales) == len(self.weight_decays):
            raise ValueError(
                f"`scales` and `weight_decays` must be one for each of {len(variables)} weights; got "
                f"{len(self.scales)} and {len(self.weight_decays)}. Freeze before the optimizer is made; load what was "
                "frozen after it with `compile=False`."
            )
        super().build(variables)

    def update_step(self, gradient, variable, learning_rate):
        index = self._get_variable_index(variable)
        rate = keras.ops.cast(learning_rate, variable.dtype) * self.scales[index]
        if self.weight_decays[index]:
            self.assign_sub(variable, variable * (rate * self.weight_decays[index]))
        super().update_step(gradient, variable, rate)

    def get_config(self) -> dict:
        config = super().get_config()
        del config["weight_decay"]  # each weight's own instead
        return {**config, "scales": list(self.scales), "weight_decays": list(self.weight_decays)}


def adamw(
    model: keras.Model,
    *,
    learning_rate: float,
    steps: int,
    warmup_steps: int = 0,
    min_learning_rate: float = 0.0,
    schedule: Literal["cosine", "linear"] = "cosine",
    weight_decay: float = 0.1,
    beta_2: float = 0.999,
    clip_norm: float | None = 1.0,
    scales: Sequence[float] | None = None,
    ema: float | None = None,
) -> keras.optimizers.Optimizer:
    """AdamW (Loshchilov & Hutter 2019) with linear warm-up, decay of the rate, and clipping.

    Weight decay acts on matrices and tables only, not on biases and norms.

    Args:
        model: the model to be trained, built.
        learning_rate: the highest, reached after the warm-up.
        steps: after which `min_learning_rate` is reached, warm-up included.
        warmup_steps: how long the rate rises.
        min_learning_rate: the last.
        schedule: how the rate falls.
        weight_decay: a share of the weight, times the learning rate, taken off at each step.
        beta_2: decay of the second moment.
        clip_norm: the longest gradient, over all weights together; None for no limit.
        scales: by what the learning rate is multiplied for each of `model.trainable_variables`; None for all alike.
        ema: decay of a moving average of the weights, as Keras's `use_ema` keeps it; None for none.

    Raises:
        ValueError: if the warm-up is as long as the whole, or rates are out of order.
    """
    if not 0 <= warmup_steps < steps:
        raise ValueError(f"`warmup_steps` must lie in [0, steps) = [0, {steps}); got {warmup_steps}.")
    if not 0 <= min_learning_rate <= learning_rate:
        raise ValueError(
            f"`min_learning_rate` must lie in [0, learning_rate] = [0, {learning_rate}]; got {min_learning_rate}."
        )
    if schedule not in _SCHEDULES:
        raise ValueError(f"`schedule` must be one of {', '.join(map(repr, _SCHEDULES))}; got {schedule!r}.")
    rate = _SCHEDULES[schedule](learning_rate, steps, warmup_steps, min_learning_rate)
    adam: dict[str, Any] = {"beta_2": beta_2, "epsilon": 1e-8, "global_clipnorm": clip_norm}
    if ema is not None:
        adam |= {"use_ema": True, "ema_momentum": ema}
    weights = model.trainable_variables
    optimizer: keras.optimizers.Optimizer
    if scales is None:
        optimizer = keras.optimizers.AdamW(rate, weight_decay=weight_decay, **adam)
        optimizer.exclude_from_weight_decay([weight for weight in weights if not _decays(weight)])
    else:
        decays = [weight_decay if _decays(weight) else 0.0 for weight in weights]
        optimizer = LayerwiseAdamW(rate, scales, decays, **adam)
    optimizer.build(weights)
    return optimizer


def _decays(weight: keras.Variable) -> bool:
    """Matrices and tables do; biases and norms do not."""
    return len(weight.shape) >= 2


def _cosine(learning_rate: float, steps: int, warmup_steps: int, min_learning_rate: float):
    # The first step already moves: the rise starts one step above zero.
    rise = {"warmup_target": learning_rate, "warmup_steps": warmup_steps} if warmup_steps else {}
    return keras.optimizers.schedules.CosineDecay(
        learning_rate / (warmup_steps + 1) if warmup_steps else learning_rate,
        decay_steps=steps - warmup_steps,
        alpha=min_learning_rate / learning_rate if learning_rate else 0.0,
        **rise,
    )


_SCHEDULES = {"cosine": _cosine, "linear": LinearDecay}
