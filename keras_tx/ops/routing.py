"""Routing of tokens to experts: who gets which, each token's place in the queue, how even the load is."""

from __future__ import annotations

from fractions import Fraction

from keras import ops


def route(logits, top_k: int, normalize: bool):
    """The experts of each token and what their outputs are multiplied by.

    Args:
        logits: the router's, `(N, E)`, float32.
        top_k: experts a token.
        normalize: whether a token's gates sum to one (Shazeer et al. 2017); otherwise they are the router's
            probabilities (Fedus et al. 2021), which a single expert needs for the router to learn from the outputs.

    Returns:
        `gates`, `experts`, `probabilities`: `(N, top_k)`, the greatest first; int32 `(N, top_k)`; `(N, E)`.
    """
    probabilities = ops.softmax(logits, axis=-1)
    gates, experts = ops.top_k(probabilities, top_k)
    if normalize:
        gates = gates / ops.sum(gates, axis=-1, keepdims=True)
    return gates, ops.cast(experts, "int32"), probabilities


def balance_loss(probabilities, experts):
    """Returns the load-balancing loss, a scalar; 1 when all experts are used alike (Fedus et al. 2021, equation 4).

    E times the sum over the experts of the share of choices that fall on one, times its mean probability.

    Args:
        probabilities: `(N, E)`.
        experts: `(N, K)`.
    """
    count = probabilities.shape[-1]
    share = ops.mean(ops.one_hot(experts, count, dtype=probabilities.dtype), axis=(0, 1))
    return count * ops.sum(share * ops.mean(probabilities, axis=0))


def capacity(tokens, num_experts: int, top_k: int, factor: float):
    """Returns how many tokens an expert takes: `factor` times as many as if all were used alike, rounded up.

    Whole numbers alone, so that `tokens`, and the result, may be a tensor where a graph does not know them.
    """
    share = Fraction(factor).limit_denominator(1000) * top_k / num_experts
    return -(-tokens * share.numerator // share.denominator)


def places(experts, num_experts: int):
    """Where each choice stands in the queue of its expert, int32 `(N, K)` from 0.

    First choices go before second ones, and earlier tokens before later ones (Lepikhin et al. 2020, algorithm 1).

    Args:
        experts: int32, `(N, K)`.
        num_experts: E.
    """
    tokens, top_k = ops.shape(experts)
    in_order = ops.reshape(ops.transpose(experts), (-1,))
    chosen = ops.one_hot(in_order, num_experts, dtype="int32")
    before = ops.sum((ops.cumsum(chosen, axis=0) - 1) * chosen, axis=-1)
    return ops.transpose(ops.reshape(before, (top_k, tokens)))


def dispatch(x, experts, num_experts: int, size):
    """The queues of the experts, and the way back.

    Args:
        x: `(N, D)`.
        experts: int32, `(N, K)`.
        num_experts: E.
        size: of a queue; who would stand further back is left out.

    Returns:
        `queues, slots`: `(E, size, D)`, with zeros where nobody stands; and where each choice stands in them, int32
        `(N, K)`, `E * size` for those left out.
    """
    (tokens, width), top_k = ops.shape(x), experts.shape[1]
    place = places(experts, num_experts)
    slots = ops.where(place < size, experts * size + place, num_experts * size)
    # The token in each slot: slots of nobody, and one more of all who are left out, have a row of zeros.
    nobody = ops.full((num_experts * size + 1,), tokens, dtype="int32")
    token = ops.repeat(ops.arange(tokens, dtype="int32"), top_k)
    holder = ops.scatter_update(nobody, ops.reshape(slots, (-1, 1)), token)[:-1]
    queues = ops.take(_with_zeros(x), holder, axis=0)
    return ops.reshape(queues, (num_experts, size, width)), slots


def collect(queues, slots, gates):
    """The sum of what the experts made of each token, times its gates: `(N, D)`.

    Args:
        queues: `(E, size, D)`.
        slots: from `dispatch`.
        gates: `(N, K)`, in the dtype of the queues.
    """
    flat = ops.reshape(queues, (-1, queues.shape[-1]))
    return ops.einsum("nkd,nk->nd", ops.take(_with_zeros(flat), slots, axis=0), gates)


def _with_zeros(x):
    """`(N, D)` and one row of zeros."""
    return ops.pad(x, [[0, 1], [0, 0]])
