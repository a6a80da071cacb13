"""Makes deberta_h5/: random DeBERTas of TensorFlow classes, under each naming they write.

    TF_USE_LEGACY_KERAS=1 PYTHONPATH=tests python tests/golden/make_deberta_h5.py

What `make_h5_namings.py` says of directories and needs holds here, too.
"""

from __future__ import annotations

from pathlib import Path

import tensorflow as tf
from golden import make_h5_namings
from golden.make_encoders_h5 import cases_of

FIELDS = {
    **make_h5_namings.BERT,
    "relative_attention": True,
    "position_buckets": 4,
    "pos_att_type": ["c2p", "p2c"],
    "norm_rel_ebd": "layer_norm",
    "share_att_key": False,
    "position_biased_input": True,
    "conv_kernel_size": 3,
    "conv_act": "gelu",
}
NARROW = {**FIELDS, "embedding_size": 5, "share_att_key": True, "position_biased_input": False}
CASES = cases_of("DebertaV2", FIELDS) | {"DebertaV2Model-narrow": NARROW}

if __name__ == "__main__":
    tf.config.set_visible_devices([], "GPU")
    make_h5_namings.write(Path(__file__).with_name("deberta_h5"), CASES)
