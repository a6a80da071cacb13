"""What Transformers generated, beside what we do; draws beside their distribution.

As a program it compares the files of tests/golden/make_generation.py: python tests/generation_helpers.py FILE...
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import keras
import numpy as np
from helpers import numpy

from keras_tx import GPTModel
from keras_tx.generation import GenerateOutput

FAMILIES = {"gpt": {"norm_position": "post"}, "gpt2": {}}


@contextmanager
def eagerly() -> Iterator[None]:
    """TensorFlow runs functions as they are in this block: compiling what runs once takes longer than running it."""
    if keras.backend.backend() != "tensorflow":
        yield
        return
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(False)


def chi_square(counts: np.ndarray, distribution: np.ndarray) -> bool:
    """Whether draws are as often what they are as the distribution has it: a test at the level of 1 in 10,000."""
    expected = distribution * counts.sum()
    if counts[expected == 0].any():
        return False
    seldom = expected < 5
    if seldom.any():  # together they make one class
        counts = np.append(counts[~seldom], counts[seldom].sum())
        expected = np.append(expected[~seldom], expected[seldom].sum())
    counts, expected = counts[expected > 0], expected[expected > 0]
    freedom = max(len(counts) - 1, 1)
    spread = 2 / (9 * freedom)
    limit = freedom * (1 - spread + 3.719 * spread**0.5) ** 3  # Wilson and Hilferty 1931
    return bool(((counts - expected) ** 2 / expected).sum() < limit)


class Golden:
    """One file: `models` by family; `cases`, options each; `draws`, ways to draw a token, and their `odds`."""

    def __init__(self, path: Path):
        self.arrays = dict(np.load(path))
        facts = json.loads(str(self.arrays.pop("facts")))
        self.version = facts["transformers"]
        self.cases = facts["cases"]
        self.draws = facts["draws"]
        self.odds = [self.arrays[f"draws/{i}"] for i in range(len(self.draws))]
        self.models = {family: self._model(family, facts["sizes"]) for family in FAMILIES}

    def _model(self, family: str, sizes: dict) -> GPTModel:
        model = GPTModel(
            vocab_size=sizes["vocab_size"],
            max_positions=sizes["n_positions"],
            num_layers=sizes["n_layer"],
            num_heads=sizes["n_head"],
            d_model=sizes["n_embd"],
            **FAMILIES[family],
        )
        for weight in model.weights:
            weight.assign(self.arrays[f"{family}/{weight.path.partition('/')[2]}"])
        return model

    def want(self, family: str, case: int) -> GenerateOutput:
        scores = self.arrays.get(f"{family}/{case}/sequences_scores")
        return GenerateOutput(self.arrays[f"{family}/{case}/sequences"], scores)

    def got(self, family: str, case: int) -> GenerateOutput:
        output = self.models[family].generate(**self.cases[case], return_dict_in_generate=True)
        return GenerateOutput(*(None if x is None else numpy(x) for x in output[:2]))


def main(path: Path) -> None:
    golden = Golden(path)
    wrong = 0
    for family in FAMILIES:
        for i, case in enumerate(golden.cases):
            want, got = golden.want(family, i), golden.got(family, i)
            equal = np.array_equal(got.sequences, want.sequences)
            if equal and want.sequences_scores is not None:
                equal = np.allclose(got.sequences_scores, want.sequences_scores, atol=1e-4, rtol=1e-5)
            if not equal:
                wrong += 1
                print(family, i, case, got, want, sep="\n", flush=True)
    count = len(FAMILIES) * len(golden.cases)
    print(f"{path.name}: {count - wrong} of {count} as Transformers {golden.version}")


if __name__ == "__main__":
    for name in sys.argv[1:]:
        main(Path(name))
