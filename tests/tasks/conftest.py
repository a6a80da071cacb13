"""A tokenizer with BERT's special tokens around its texts, small enough to cut words up."""

import pytest

from keras_tx import BPETokenizer
from keras_tx.text import Template
from keras_tx.text.core.template import BERT

TEXT = "Anna Smith of Paris met Anna and Bob in Rome. Where does the old baker of Oslo live? The film is good, not bad."

PAD, CLS, SEP = range(3)


@pytest.fixture(scope="session")
def tokenizer() -> BPETokenizer:
    special = ("[PAD]", "[CLS]", "[SEP]")
    template = Template.parse(*BERT, {"[CLS]": CLS, "[SEP]": SEP})
    return BPETokenizer.train([TEXT] * 2, 307, special_tokens=special, template=template)
