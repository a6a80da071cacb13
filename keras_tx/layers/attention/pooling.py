"""Pooling by attention."""

from __future__ import annotations

import keras
from keras import ops

from keras_tx.layers.attention.multi_head import MultiHeadAttention
from keras_tx.layers.core.base import Layer, register
from keras_tx.layers.core.feedforward import FeedForward
from keras_tx.layers.core.initializers import clone_initializer
from keras_tx.ops.checks import require_rank, require_width


@register
class AttentionPooling(Layer):
    """A learned query looks at all tokens (Lee et al. 2019, section 3.2; Zhai et al. 2021, section 3.3).

    A feed-forward network, after a norm, is added to what it sees. Input: `(B, N, d_model)`. Output: `(B, d_model)`.

    Args:
        d_model: width.
        num_heads: heads of the query.
        d_ff: width inside the feed-forward network.
        activation: of the feed-forward network.
        norm_epsilon: added to the variance in the norm.
        kernel_initializer: of all kernels, and of the query.

    Raises:
        ValueError: as the sublayers do; at call, for another rank or width.
    """

    def __init__(
        self,
        d_model: int,
        num_heads: int,
        d_ff: int,
        activation: str = "gelu",
        norm_epsilon: float = 1e-6,
        kernel_initializer="glorot_uniform",
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.supports_masking = True
        self.d_model = d_model
        self.num_heads = num_heads
        self.d_ff = d_ff
        self.activation = activation
        self.norm_epsilon = norm_epsilon
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        common = {"kernel_initializer": self.kernel_initializer, "dtype": self.dtype_policy}
        self.attention = MultiHeadAttention(d_model, num_heads, context_dim=d_model, name="attention", **common)
        self.norm = keras.layers.LayerNormalization(epsilon=norm_epsilon, dtype=self.dtype_policy, name="norm")
        self.feed_forward = FeedForward(d_model, d_ff, activation=activation, name="feed_forward", **common)

    def build(self, input_shape=None):
        self.query = self.add_weight(
            shape=(1, 1, self.d_model), initializer=clone_initializer(self.kernel_initializer), name="query"
        )
        for layer in (self.attention, self.norm, self.feed_forward):
            layer.build((None, None, self.d_model))

    def call(self, x, training=None, mask=None):
        """`mask` is Keras's, `(B, N)`: False for tokens that have no part."""
        require_rank(x, 3, "x", "(batch, tokens, d_model)")
        require_width(x, self.d_model, "x")
        query = ops.repeat(ops.cast(self.query, x.dtype), ops.shape(x)[0], axis=0)
        seen = self.attention(query, context=x, context_mask=mask, training=training)
        return (seen + self.feed_forward(self.norm(seen), training=training))[:, 0]

    def compute_mask(self, inputs, previous_mask):
        """None: there is one vector a row."""

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self.d_model)
