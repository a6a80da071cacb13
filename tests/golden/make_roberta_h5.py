"""Makes roberta_h5/: small random RoBERTas of Transformers' TensorFlow classes, under each naming they write.

    TF_USE_LEGACY_KERAS=1 PYTHONPATH=tests python tests/golden/make_roberta_h5.py [DIRECTORY]

What `make_h5_namings.py` says of directories and needs holds here, too.
"""

from __future__ import annotations

import sys
from pathlib import Path

import tensorflow as tf
from golden import make_h5_namings

ROBERTA = {**make_h5_namings.BERT, "type_vocab_size": 1, "pad_token_id": 3}
HEADS = ("MaskedLM", "SequenceClassification", "TokenClassification", "QuestionAnswering", "MultipleChoice")
CASES = {
    "RobertaModel": ROBERTA,
    **{f"RobertaFor{head}": ROBERTA for head in HEADS},
    "XLMRobertaForMaskedLM": ROBERTA,
    "CamembertForSequenceClassification": ROBERTA,
}

if __name__ == "__main__":
    tf.config.set_visible_devices([], "GPU")
    directory = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("roberta_h5")
    make_h5_namings.write(directory, CASES)
