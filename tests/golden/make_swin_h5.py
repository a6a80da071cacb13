"""Makes swin_h5/: small random Swin Transformers of Transformers' TensorFlow classes, and what these compute.

    TF_USE_LEGACY_KERAS=1 python tests/golden/make_swin_h5.py [DIRECTORY]

A model's directory holds what `save_pretrained` writes, and `expected.npz`: the images given (`given/NAME`), as we take
them, and the outputs (`NAME`). Needs TensorFlow and Transformers 4.57 or older.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import tensorflow as tf
import transformers

BATCH = 2
FIELDS = {
    "image_size": 20,  # a map of 10 x 10, which no window divides, then one of 5 x 5
    "patch_size": 2,
    "num_channels": 3,
    "embed_dim": 6,
    "depths": [2, 1],
    "num_heads": [3, 2],
    "window_size": 4,
    "mlp_ratio": 1.5,
}
CASES = {
    "classifier": ("TFSwinForImageClassification", {**FIELDS, "num_labels": 5}),
    "model": ("TFSwinModel", {**FIELDS, "qkv_bias": False, "layer_norm_eps": 1e-3}),
    "masked": ("TFSwinForMaskedImageModeling", {**FIELDS, "encoder_stride": 4}),
}


def main(directory: Path) -> None:
    for seed, (case, (name, fields)) in enumerate(CASES.items()):
        rng = np.random.default_rng(seed)
        images = rng.normal(size=(BATCH, 20, 20, 3)).astype("float32")
        given = {"images": images}
        inputs = {"pixel_values": np.moveaxis(images, -1, 1)}
        if case == "masked":
            given["bool_masked_pos"] = inputs["bool_masked_pos"] = rng.random((BATCH, 100)) < 0.5
        model = getattr(transformers, name)(transformers.SwinConfig(**fields))
        model(inputs)  # which builds it
        for weight in model.weights:
            if "index" not in weight.name:
                weight.assign(rng.normal(1.0 if "gamma" in weight.name else 0.0, 0.3, weight.shape))
        model.save_pretrained(directory / case)
        outputs = model(inputs)
        if case == "masked":
            # Not the loss: these classes take each pixel's mean error over the batch, whichever image hides it.
            expected = {"logits": np.moveaxis(outputs.reconstruction.numpy(), 1, -1)}
        else:
            expected = {"logits": (outputs.logits if case == "classifier" else outputs.pooler_output).numpy()}
        expected |= {f"given/{name}": x for name, x in given.items()}
        np.savez_compressed(directory / case / "expected.npz", **expected)


if __name__ == "__main__":
    tf.config.set_visible_devices([], "GPU")
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("swin_h5"))
