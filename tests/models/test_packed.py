"""Documents packed into one row, each token seeing those of its own document, give what they give apart."""

import numpy as np
import pytest
from helpers import numpy, randomize

from keras_tx import BERTForMaskedLM, BERTForSequenceClassification, GPTForSequenceClassification, GPTModel
from keras_tx.models.bert.config import TINY as TINY_BERT
from keras_tx.models.gpt.config import TINY as TINY_GPT

LENGTHS = (5, 3, 7)


def packed(rng):
    """A row of documents and two of padding: ids, which of them sees which, and positions, `(1, T)` or `(1, T, T)`."""
    padding = 2
    documents = [rng.integers(1, 61, n) for n in LENGTHS]
    segments = np.concatenate([np.full(n, i + 1) for i, n in enumerate(LENGTHS)] + [np.zeros(padding, int)])
    ids = np.concatenate([*documents, np.zeros(padding, int)])
    positions = np.concatenate([np.arange(n) for n in (*LENGTHS, padding)])
    mask = (segments[:, None] == segments) & (segments > 0)
    inputs = {"input_ids": ids[None], "attention_mask": mask[None].astype(int), "position_ids": positions[None]}
    return documents, {name: array.astype("int32") for name, array in inputs.items()}


@pytest.mark.parametrize(("cls", "config"), [(BERTForMaskedLM, TINY_BERT), (GPTModel, TINY_GPT)])
def test_documents_packed_equal_documents_apart(cls, config, rng):
    model = randomize(cls(config), rng)
    documents, inputs = packed(rng)
    together = numpy(model(inputs)["logits"])[0]
    ends = np.cumsum(LENGTHS)
    for document, end in zip(documents, ends, strict=True):
        apart = numpy(model(document[None].astype("int32"))["logits"])[0]
        np.testing.assert_allclose(together[end - len(document) : end], apart, atol=1e-4)
    real = (inputs["input_ids"] > 0).astype("int32")
    everything = numpy(model({**inputs, "attention_mask": real})["logits"])[0]
    assert np.abs(everything[ends[1] : ends[2]] - together[ends[1] : ends[2]]).max() > 1e-2


def test_mask_of_another_shape(rng):
    _, inputs = packed(rng)
    for shape in ((1, 16), (1, 17, 16), (1, 16, 17), (1, 1, 17, 17)):
        with pytest.raises(ValueError, match="`attention_mask` must have shape"):
            BERTForMaskedLM(TINY_BERT)({**inputs, "attention_mask": np.ones(shape, "int32")})


def test_the_last_token_of_packed_documents_is_not_known(rng):
    _, inputs = packed(rng)
    with pytest.raises(ValueError, match="does not say which token is the last"):
        GPTForSequenceClassification(TINY_GPT.replace(num_labels=3))(inputs)
    logits = BERTForSequenceClassification(TINY_BERT.replace(num_labels=3))(inputs)["logits"]
    assert tuple(logits.shape) == (1, 3)  # of the first document's first token
