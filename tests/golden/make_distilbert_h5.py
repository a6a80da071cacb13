"""Makes distilbert_h5/: small random DistilBERTs of Transformers' TensorFlow classes, under each naming they write.

    TF_USE_LEGACY_KERAS=1 PYTHONPATH=tests python tests/golden/make_distilbert_h5.py [DIRECTORY]

What `make_h5_namings.py` says of directories and needs holds here, too.
"""

from __future__ import annotations

import sys
from pathlib import Path

import tensorflow as tf
from golden import make_h5_namings

DISTILBERT = {
    "vocab_size": 37,
    "max_position_embeddings": 11,
    "dim": 12,
    "n_layers": 2,
    "n_heads": 3,
    "hidden_dim": 17,
}
HEADS = ("MaskedLM", "SequenceClassification", "TokenClassification", "QuestionAnswering", "MultipleChoice")
CASES = {"DistilBertModel": DISTILBERT, **{f"DistilBertFor{head}": DISTILBERT for head in HEADS}}

if __name__ == "__main__":
    tf.config.set_visible_devices([], "GPU")
    directory = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("distilbert_h5")
    make_h5_namings.write(directory, CASES)
