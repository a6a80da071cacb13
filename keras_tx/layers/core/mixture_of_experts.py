"""A feed-forward network of several experts, of which each token is sent to a few."""

from __future__ import annotations

import dataclasses
from typing import Any

import keras
from keras import ops

from keras_tx.layers.core.base import Layer, register
from keras_tx.layers.core.feedforward import FeedForward
from keras_tx.layers.core.initializers import clone_initializer
from keras_tx.ops import routing
from keras_tx.ops.checks import require_positive, require_width
from keras_tx.ops.fields import from_json


@dataclasses.dataclass(frozen=True, kw_only=True)
class Experts:
    """The config of a mixture of experts."""

    num_experts: int = 8
    top_k: int = 2
    """Experts that each token is sent to: 1 in Switch Transformers, 2 in GShard and Mixtral."""
    capacity_factor: float | None = None
    """The most tokens that an expert takes in training, as a multiple of what it would take if all were used alike; the
    output for tokens beyond that is 0. None for no limit, as in inference, where every expert computes every token."""
    router_aux_loss_coef: float = 0.01
    """Multiplies each layer's loss that keeps the experts evenly used (Fedus et al. 2021, section 2.2)."""
    norm_topk_prob: bool | None = None
    """Whether a token's gates are made to sum to one; None to do so where there are several."""

    def __post_init__(self):
        require_positive(num_experts=self.num_experts, top_k=self.top_k)
        if self.top_k > self.num_experts:
            raise ValueError(f"`top_k` must be at most `num_experts` = {self.num_experts}; got {self.top_k}.")
        if self.capacity_factor is not None and not self.capacity_factor > 0:
            raise ValueError(f"`capacity_factor` must be above 0, or None for no limit; got {self.capacity_factor}.")
        if not self.router_aux_loss_coef >= 0:
            raise ValueError(f"`router_aux_loss_coef` must be at least 0; got {self.router_aux_loss_coef}.")

    @property
    def normalizes(self) -> bool:
        return self.top_k > 1 if self.norm_topk_prob is None else self.norm_topk_prob


@register
class MixtureOfExperts(FeedForward):
    """Feed-forward networks side by side, and a router that sends each token to a few (Shazeer et al. 2017).

    Input and output: `(..., d_model)`. The output is the sum of those of the token's experts, each times its gate. In
    training a loss is added (`layer.losses`) that is least when all experts are used alike. The router computes in
    float32 whatever the layer's dtype.

    Args:
        d_model: width in and out.
        d_ff: width inside each expert.
        experts: an `Experts`, or its fields.
        dropout, activation, options: as `FeedForward` takes them, for each expert.

    Raises:
        ValueError: as `Experts` and `FeedForward` do.
    """

    def __init__(
        self,
        d_model: int,
        d_ff: int,
        experts: Experts | dict,
        dropout: float = 0.0,
        activation: str = "relu",
        **options: Any,
    ):
        self.experts: Experts = from_json(experts, Experts)
        super().__init__(d_model, d_ff, dropout, activation, **options)
        self._hand_on(options)

    def _linear(self, units: int, name: str, initializer, dtype: str | None = None):
        return ExpertLinear(
            self.experts.num_experts,
            units,
            use_bias=self.use_bias,
            kernel_initializer=clone_initializer(initializer),
            dtype=dtype or self.dtype_policy,
            name=name,
        )

    def build(self, input_shape=None):
        super().build(input_shape)
        self.router = self.add_weight(
            shape=(self.d_model, self.experts.num_experts),
            initializer=clone_initializer(self.kernel_initializer),
            autocast=False,
            name="router",
        )

    def call(self, x, training=None):
        require_width(x, self.d_model, "x")
        e = self.experts
        tokens = ops.reshape(x, (-1, self.d_model))
        logits = ops.matmul(ops.cast(tokens, "float32"), ops.cast(self.router, "float32"))
        gates, chosen, probabilities = routing.route(logits, e.top_k, e.normalizes)
        if training and e.router_aux_loss_coef:
            self.add_loss(e.router_aux_loss_coef * routing.balance_loss(probabilities, chosen))
        if training and e.capacity_factor is not None:
            size = routing.capacity(ops.shape(tokens)[0], e.num_experts, e.top_k, e.capacity_factor)
            queues, slots = routing.dispatch(tokens, chosen, e.num_experts, size)
            made = self._through(queues, training)
            y = routing.collect(made, slots, ops.cast(gates, made.dtype))
        elif tokens.shape[0] is not None and tokens.shape[0] * e.top_k < e.num_experts:
            # Few tokens, as in decoding, read the weights of their own experts alone.
            own = ops.reshape(chosen, (-1,))
            made = self._through(ops.repeat(tokens, e.top_k, axis=0)[:, None], training, own)
            made = ops.reshape(made, (*ops.shape(chosen), self.d_model))
            y = ops.einsum("nkd,nk->nd", made, ops.cast(gates, made.dtype))
        else:
            made = self._through(tokens[None], training)
            weights = ops.sum(ops.one_hot(chosen, e.num_experts, dtype=gates.dtype) * gates[..., None], axis=1)
            y = ops.einsum("end,ne->nd", made, ops.cast(weights, made.dtype))
        return ops.reshape(y, ops.shape(x))


class ExpertLinear(Layer):
    """A linear map of its own for each expert: `(E, N, in)`, or the same `(1, N, in)` for all, to `(E, N, units)`."""

    def __init__(self, num_experts: int, units: int, *, use_bias: bool, kernel_initializer, **kwargs):
        super().__init__(**kwargs)
        self.num_experts = num_experts
        self.units = units
        self.use_bias = use_bias
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def build(self, input_shape):
        shape = (self.num_experts, input_shape[-1], self.units)
        self.kernel = self.add_weight(shape=shape, initializer=self._drawn, name="kernel")
        if self.use_bias:
            self.bias = self.add_weight(shape=(self.num_experts, 1, self.units), initializer="zeros", name="bias")

    def _drawn(self, shape, dtype=None):
        """Each expert's kernel by itself: an initializer would take the experts' axis for one of the map's."""
        return ops.stack([clone_initializer(self.kernel_initializer)(shape[1:], dtype) for _ in range(shape[0])])

    def call(self, x, chosen=None):
        """`chosen`, int32 `(N,)`, names the expert of each of as many rows `(N, 1, in)`."""
        kernel, bias = (
            w if w is None or chosen is None else ops.take(w, chosen, axis=0)
            for w in (self.kernel, self.bias if self.use_bias else None)
        )
        y = ops.matmul(x, kernel)
        return y if bias is None else y + bias
