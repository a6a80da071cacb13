"""What the tests of attention layers share: heads in NumPy, gradients of the definition, decoding piece by piece."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from helpers import compiled, dense, numpy, rotate


def heads(layer, x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Queries `(B, H, T, D)`, keys and values `(B, K, T, D)` of a layer in float64, rotated where it rotates."""

    def split(y: np.ndarray, count: int) -> np.ndarray:
        return y.reshape(len(y), -1, count, layer.head_dim).swapaxes(1, 2)

    query = split(dense(layer.query, x), layer.num_heads)
    key, value = (split(dense(p, x), layer.num_kv_heads) for p in (layer.key, layer.value))
    if layer.rope_theta:
        query, key = (rotate(y, np.arange(x.shape[1]), layer.rope_theta) for y in (query, key))
    return query, key, value


def joined(layer, output: np.ndarray) -> np.ndarray:
    """The layer's output from those of its heads."""
    return dense(layer.output_projection, output.swapaxes(1, 2).reshape(len(output), output.shape[2], -1))


# === Of definitions in `jax.numpy`, for `assert_layer_is` ===


def project(w: dict, name: str, x, heads: int):
    """Queries, keys or values `(B, heads, T, D)`, by the weights of that name; with a bias, if there is one."""
    y = x @ w[f"{name}/kernel"] + w.get(f"{name}/bias", 0.0)
    return y.reshape(*x.shape[:2], heads, -1).swapaxes(1, 2)


def soft(scores, allowed, sinks=None):
    """Exponentials over their sum, of the keys that are seen and the sinks."""
    import jax.numpy as jnp

    exponentials = jnp.where(allowed, jnp.exp(scores), 0.0)
    total = exponentials.sum(axis=-1, keepdims=True)
    total = total if sinks is None else total + jnp.exp(sinks)[:, None, None]
    return exponentials / jnp.where(total == 0, 1.0, total)


def output(w: dict, mixed):
    """What the heads' `(B, H, T, D)` give together."""
    merged = mixed.swapaxes(1, 2).reshape(mixed.shape[0], mixed.shape[2], -1)
    return merged @ w["output/kernel"] + w.get("output/bias", 0.0)


# === Gradients, and decoding ===


def softmax_gradients(mask, query, key, value, bias=0.0, soft_cap=None) -> list[np.ndarray]:
    """Of the sum of the output's sines, by `jax.grad` of the definition."""
    import jax
    import jax.numpy as jnp

    def total(query, key, value, bias):
        key, value = (jnp.repeat(x, query.shape[1] // x.shape[1], axis=1) for x in (key, value))
        scores = jnp.einsum("bhtd,bhsd->bhts", query, key) * query.shape[-1] ** -0.5
        scores = (soft_cap * jnp.tanh(scores / soft_cap) if soft_cap else scores) + bias
        weights = jax.nn.softmax(jnp.where(mask, scores, -1e30), axis=-1) * mask
        return jnp.sum(jnp.sin(weights @ value))

    return [np.asarray(x) for x in jax.grad(total, (0, 1, 2, 3))(query, key, value, bias)]


def one_step(layer) -> Callable:
    """The layer with a cache, compiled."""
    return compiled(lambda part, mask, cache: layer(part, attention_mask=mask, cache=cache))


def decoded(layer, x: np.ndarray, pieces: tuple[int, ...], mask: np.ndarray, step: Callable | None = None):
    """The outputs of a layer that meets `x` piece by piece, with a cache as long as the mask `(B, S)`.

    `step`, of `one_step`, compiles nothing for pieces as long as some that it has seen.
    """
    assert sum(pieces) == x.shape[1]
    step = step or one_step(layer)
    cache, outputs, start = layer.init_cache(len(x), mask.shape[1]), [], 0
    for count in pieces:
        output, cache = step(x[:, start : start + count], mask, cache)
        outputs.append(numpy(output))
        start += count
    assert int(cache.index) == start
    return np.concatenate(outputs, axis=1)
