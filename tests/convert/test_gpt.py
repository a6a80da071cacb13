"""What the configs of GPT-1 and GPT-2 say in either language."""

import pytest

from keras_tx.models import GPTConfig
from keras_tx.models.gpt.huggingface import GPT1, GPT2


@pytest.mark.parametrize(
    ("family", "entry", "theirs", "ours"),
    [
        (GPT2, "activation_function", "gelu_new", "gelu_tanh"),  # Transformers knows no "gelu_tanh"
        (GPT2, "activation_function", "gelu", "gelu"),
        (GPT2, "activation_function", "gelu_fast", "gelu_fast"),
        (GPT1, "afn", "gelu", "gelu_tanh"),
        (GPT1, "afn", "relu", "relu"),
    ],
)
def test_activations_have_other_names(family, entry, theirs, ours):
    fields = GPTConfig(activation=ours, norm_position="pre" if family is GPT2 else "post").to_dict()
    assert family.config(fields, "GPTModel")[entry] == theirs
    assert family.fields({entry: theirs}, "GPTModel")["activation"] == ours


def test_gpt1_has_its_own_activations_alone():
    with pytest.raises(ValueError, match="afn='gelu_new'; known are 'gelu', 'relu', 'silu', 'swish'"):
        GPT1.fields({"afn": "gelu_new"}, "GPTModel")
    fields = GPTConfig(activation="gelu", norm_position="post").to_dict()
    with pytest.raises(ValueError, match="`activation='gelu'` cannot be said"):
        GPT1.config(fields, "GPTModel")


def test_dropout_before_the_token_classifier():
    assert GPT2.fields({"classifier_dropout": 0.3}, "GPTForTokenClassification")["classifier_dropout"] == 0.3
    assert GPT2.fields({"hidden_dropout": 0.2}, "GPTForTokenClassification")["classifier_dropout"] == 0.2
    assert GPT2.fields({}, "GPTForTokenClassification")["classifier_dropout"] == 0.1
