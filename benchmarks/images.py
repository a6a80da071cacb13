"""ViT-B/16 and Swin-T as classifiers of images, in four libraries of equal sizes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from benchmarks.classifiers import keras_forward, keras_policy, keras_train_step, torch_forward, torch_train_step
from benchmarks.jobs import Options, Work
from benchmarks.side import Side

CLASSES = 1000


class Family(NamedTuple):
    """A family in four libraries: functions of the options to their models, and how many parameters all must have."""

    parameters: int
    tiny_parameters: int
    libraries: dict[str, Callable[[Options], Any]]

    @property
    def forward(self) -> Callable[[Side, Options], Work]:
        return lambda side, options: self._work(side, options, train=False)

    @property
    def train_step(self) -> Callable[[Side, Options], Work]:
        return lambda side, options: self._work(side, options, train=True)

    def _work(self, side: Side, options: Options, *, train: bool) -> Work:
        images, labels = batch(options)
        model = self.libraries[side.library](options)
        wanted = self.tiny_parameters if options.tiny else self.parameters
        in_keras = side.library.startswith("keras")
        parameters = model.count_params() if in_keras else sum(p.numel() for p in model.parameters())
        if parameters != wanted:
            raise AssertionError(f"{type(model).__name__} has {parameters} parameters, not {wanted}")
        size = f"batch {len(images)}, {images.shape[1]} x {images.shape[2]}, {wanted} parameters, {options.dtype}"
        if in_keras:
            if train:
                return keras_train_step(model, images, labels, size, jit=side.jit)
            return keras_forward(model, images, size, jit=side.jit)
        name = "x" if side.library == "timm" else "pixel_values"
        inputs = {name: np.ascontiguousarray(images.transpose(0, 3, 1, 2))}
        if train:
            return torch_train_step(side, model, inputs, labels, size, dtype=options.dtype)
        return torch_forward(side, model, inputs, size, dtype=options.dtype)


def image_size(options: Options) -> int:
    return 32 if options.tiny else 224


def batch(options: Options) -> tuple[np.ndarray, np.ndarray]:
    """Images `(B, H, W, 3)` and their labels."""
    rng, side = np.random.default_rng(0), image_size(options)
    images = rng.normal(size=(options.batch_size or 8, side, side, 3)).astype("float32")
    return images, rng.integers(0, CLASSES, len(images), dtype="int32")


# === ViT-B/16, without dropout and drop path, as in all four libraries' defaults ===


def _vit(options: Options) -> dict[str, int]:
    """Layers, heads, width."""
    return {"layers": 2, "heads": 2, "width": 16} if options.tiny else {"layers": 12, "heads": 12, "width": 768}


def keras_tx_vit(options: Options):
    import keras_tx

    s = _vit(options)
    return keras_tx.vit_base_patch16_224(
        image_size=image_size(options),
        num_layers=s["layers"],
        num_heads=s["heads"],
        d_model=s["width"],
        d_ff=4 * s["width"],
        dtype=keras_policy(options.dtype),
    )


def keras_hub_vit(options: Options):
    import keras_hub

    s, policy = _vit(options), keras_policy(options.dtype)
    backbone = keras_hub.models.ViTBackbone(
        image_shape=(image_size(options), image_size(options), 3),
        patch_size=16,
        num_layers=s["layers"],
        num_heads=s["heads"],
        hidden_dim=s["width"],
        mlp_dim=4 * s["width"],
        dtype=policy,
    )
    return keras_hub.models.ViTImageClassifier(backbone, num_classes=CLASSES, head_dtype=policy)


def timm_vit(options: Options):
    import timm

    s = _vit(options)
    sizes = {"img_size": image_size(options), "depth": s["layers"], "num_heads": s["heads"], "embed_dim": s["width"]}
    return timm.create_model("vit_base_patch16_224", **sizes)


def transformers_vit(options: Options):
    from transformers import ViTConfig, ViTForImageClassification

    s = _vit(options)
    config = ViTConfig(
        image_size=image_size(options),
        num_hidden_layers=s["layers"],
        num_attention_heads=s["heads"],
        hidden_size=s["width"],
        intermediate_size=4 * s["width"],
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        num_labels=CLASSES,
    )
    return ViTForImageClassification(config)


VIT = Family(
    parameters=86_567_656,
    tiny_parameters=35_992,
    libraries={
        "keras_tx": keras_tx_vit,
        "keras_hub": keras_hub_vit,
        "timm": timm_vit,
        "transformers": transformers_vit,
    },
)

# === Swin-T, with the drop path of 0.1 that all four have by default ===


def _swin(options: Options) -> dict[str, Any]:
    """Width, depths, heads, window."""
    if options.tiny:
        return {"width": 8, "depths": (1, 2), "heads": (1, 2), "window": 4}
    return {"width": 96, "depths": (2, 2, 6, 2), "heads": (3, 6, 12, 24), "window": 7}


def keras_tx_swin(options: Options):
    import keras_tx

    s = _swin(options)
    return keras_tx.swin_tiny_patch4_window7_224(
        image_size=image_size(options),
        embed_dim=s["width"],
        depths=s["depths"],
        num_heads=s["heads"],
        window_size=s["window"],
        drop_path=0.1,
        dtype=keras_policy(options.dtype),
    )


def keras_hub_swin(options: Options):
    import keras_hub

    s, policy = _swin(options), keras_policy(options.dtype)
    backbone = keras_hub.models.SwinTransformerBackbone(
        image_shape=(image_size(options), image_size(options), 3),
        embed_dim=s["width"],
        depths=list(s["depths"]),
        num_heads=list(s["heads"]),
        window_size=s["window"],
        drop_path=0.1,
        dtype=policy,
    )
    return keras_hub.models.SwinTransformerImageClassifier(backbone, num_classes=CLASSES, head_dtype=policy)


def timm_swin(options: Options):
    import timm

    s = _swin(options)
    return timm.create_model(
        "swin_tiny_patch4_window7_224",
        img_size=image_size(options),
        embed_dim=s["width"],
        depths=s["depths"],
        num_heads=s["heads"],
        window_size=s["window"],
        drop_path_rate=0.1,
    )


def transformers_swin(options: Options):
    from transformers import SwinConfig, SwinForImageClassification

    s = _swin(options)
    config = SwinConfig(
        image_size=image_size(options),
        embed_dim=s["width"],
        depths=list(s["depths"]),
        num_heads=list(s["heads"]),
        window_size=s["window"],
        drop_path_rate=0.1,
        num_labels=CLASSES,
    )
    return SwinForImageClassification(config)


SWIN = Family(
    parameters=28_288_354,
    tiny_parameters=25_693,
    libraries={
        "keras_tx": keras_tx_swin,
        "keras_hub": keras_hub_swin,
        "timm": timm_swin,
        "transformers": transformers_swin,
    },
)
