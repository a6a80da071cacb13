"""AdamW as language models are trained with it."""

from __future__ import annotations

import keras


def adamw(
    model: keras.Model,
    *,
    learning_rate: float,
    steps: int,
    warmup_steps: int = 0,
    min_learning_rate: float = 0.0,
    weight_decay: float = 0.1,
    beta_2: float = 0.999,
    clip_norm: float | None = 1.0,
) -> keras.optimizers.AdamW:
    """AdamW (Loshchilov & Hutter 2019) with linear warm-up, cosine decay and clipping.

    Weight decay acts on matrices and tables only, not on biases and norms.

    Args:
        model: the model to be trained, built.
        learning_rate: the highest, reached after the warm-up.
        steps: after which `min_learning_rate` is reached, warm-up included.
        warmup_steps: how long the rate rises.
        min_learning_rate: the last.
        weight_decay: a share of the weight, times the learning rate, taken off at each step.
        beta_2: decay of the second moment.
        clip_norm: the longest gradient, over all weights together; None for no limit.

    Raises:
        ValueError: if the warm-up is as long as the whole, or rates are out of order.
    """
    if not 0 <= warmup_steps < steps:
        raise ValueError(f"`warmup_steps` must lie in [0, steps) = [0, {steps}); got {warmup_steps}.")
    if not 0 <= min_learning_rate <= learning_rate:
        raise ValueError(
            f"`min_learning_rate` must lie in [0, learning_rate] = [0, {learning_rate}]; got {min_learning_rate}."
        )
    # The first step already moves: the rise starts one step above zero.
    rise = {"warmup_target": learning_rate, "warmup_steps": warmup_steps} if warmup_steps else {}
    schedule = keras.optimizers.schedules.CosineDecay(
        learning_rate / (warmup_steps + 1) if warmup_steps else learning_rate,
        decay_steps=steps - warmup_steps,
        alpha=min_learning_rate / learning_rate if learning_rate else 0.0,
        **rise,
    )
    optimizer = keras.optimizers.AdamW(
        schedule, weight_decay=weight_decay, beta_2=beta_2, epsilon=1e-8, global_clipnorm=clip_norm
    )
    optimizer.exclude_from_weight_decay([v for v in model.trainable_variables if len(v.shape) < 2])
    optimizer.build(model.trainable_variables)
    return optimizer
