"""Makes vit_h5/: small random Vision Transformers of Transformers' TensorFlow classes, and what these compute.

    TF_USE_LEGACY_KERAS=1 python tests/golden/make_vit_h5.py [DIRECTORY]

A directory holds `config.json`, `tf_model.h5` and `expected.npz`, as those of `make_vit.py`. Needs TensorFlow,
tf_keras and transformers 4.57.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import tensorflow as tf
import transformers

BATCH, CHANNELS, SIDE, PATCH = 3, 3, 6, 3
FIELDS = {
    "hidden_size": 8,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 7,
    "image_size": SIDE,
    "patch_size": PATCH,
    "num_channels": CHANNELS,
    "num_labels": 5,
}
MAE = {
    "decoder_num_attention_heads": 1,
    "decoder_hidden_size": 4,
    "decoder_num_hidden_layers": 1,
    "decoder_intermediate_size": 5,
    "mask_ratio": 0.5,
}
CASES = {
    "classifier": ("ViT", "TFViTForImageClassification", FIELDS),
    "model": ("ViT", "TFViTModel", FIELDS),
    "deit_teacher": ("DeiT", "TFDeiTForImageClassificationWithTeacher", FIELDS),
    "mae": ("ViTMAE", "TFViTMAEForPreTraining", {**FIELDS, **MAE}),
}


def main(directory: Path) -> None:
    for seed, (case, (family, name, fields)) in enumerate(CASES.items()):
        rng = np.random.default_rng(seed)
        images = rng.normal(size=(BATCH, SIDE, SIDE, CHANNELS)).astype("float32")
        given = {"noise": rng.random((BATCH, (SIDE // PATCH) ** 2)).astype("float32")} if "MAE" in name else {}
        model = getattr(transformers, name)(getattr(transformers, f"{family}Config")(**fields))

        def call(model=model, images=images, given=given):
            pixels = np.moveaxis(images, -1, 1)
            return model(pixel_values=pixels, **given, output_attentions=True, output_hidden_states=True)

        call()  # which builds it
        for weight in model.trainable_weights:
            weight.assign(rng.normal(1.0 if "gamma" in weight.name else 0.0, 0.3, weight.shape))
        model.save_pretrained(directory / case)
        outputs = call()
        expected = {key: outputs[key].numpy() for key in ("logits", "pooler_output", "loss") if key in outputs}
        if "loss" in expected:
            expected["loss"] = expected["loss"].reshape(())
        for key in ("hidden_states", "attentions"):
            expected |= {f"{key}/{i}": x.numpy() for i, x in enumerate(outputs[key])}
        expected |= {"given/images": images} | {f"given/{key}": x for key, x in given.items()}
        np.savez_compressed(directory / case / "expected.npz", **expected)


if __name__ == "__main__":
    tf.config.set_visible_devices([], "GPU")
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("vit_h5"))
