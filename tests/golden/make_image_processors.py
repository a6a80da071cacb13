"""Makes image_processors/: what Transformers 5.23's classes and timm 1.0.31's transforms make of pictures.

    python tests/golden/make_image_processors.py [DIRECTORY]

A case's directory holds `preprocessor_config.json` or timm's `config.json`, most of them with few entries, so that the
rest are the class's own defaults. `expected.npz` has the pictures (`high`, `wide`) and for each case and picture what
became of it: every `STRIDE`-th pixel of each axis, for images of more than 60 pixels. Needs torch, torchvision, Pillow,
transformers and timm.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType

import numpy as np

try:
    import torchvision  # noqa: F401 - which Transformers imports
except RuntimeError:  # of a build for another device
    sys.modules["torchvision._meta_registrations"] = ModuleType("_meta_registrations")
import timm.data
import transformers
from make_preprocessing import picture
from PIL import Image

STRIDE, LARGE = 17, 60
SIZE = {"height": 13, "width": 17}
CLASSES = [
    *("ViT", "DeiT", "Beit", "Bit", "Blip", "CLIP", "ChineseCLIP", "ConvNext", "DPT", "EfficientNet", "Flava", "Levit"),
    *("MobileNetV1", "MobileNetV2", "MobileViT", "OwlViT", "PoolFormer", "Pvt", "Segformer", "Siglip"),
]
TRANSFORMERS = {
    **{f"bare_{name.lower()}": (f"{name}ImageProcessor", {}) for name in CLASSES},
    "old_clip": ("CLIPFeatureExtractor", {"size": 19, "crop_size": 16}),
    "old_deit": ("DeiTFeatureExtractor", {"size": 20, "crop_size": 17}),
    "old_vit": ("ViTFeatureExtractor", {"size": 18, "resample": 3}),
    "old_levit": ("LevitFeatureExtractor", {"size": 21, "crop_size": 21}),
    "old_convnext": ("ConvNextFeatureExtractor", {"size": 21, "crop_pct": 0.8}),
    "convnext": ("ConvNextImageProcessorFast", {"size": {"shortest_edge": 22}}),
    "poolformer": ("PoolFormerImageProcessor", {"size": {"shortest_edge": 20}, "crop_size": SIZE}),
    "poolformer_square": ("PoolFormerImageProcessor", {"size": 20, "crop_pct": 0.7, "crop_size": SIZE}),
    "poolformer_sides": ("PoolFormerImageProcessor", {"size": SIZE, "crop_size": SIZE}),
    "dpt": ("DPTImageProcessor", {"size": {"height": 19, "width": 26}, "ensure_multiple_of": 7}),
    "efficientnet": ("EfficientNetImageProcessor", {"size": SIZE, "rescale_offset": True, "image_std": [0.4] * 3}),
    "efficientnet_body": ("EfficientNetImageProcessor", {"size": SIZE, "include_top": False, "resample": 0}),
    "bgr": ("MobileViTImageProcessor", {"size": {"shortest_edge": 19}, "crop_size": SIZE}),
    "padded": ("CLIPImageProcessor", {"size": {"shortest_edge": 14}, "crop_size": {"height": 21, "width": 18}}),
    "odd": ("DeiTImageProcessor", {"size": {"height": 18, "width": 24}, "crop_size": SIZE}),
    "not_resized": ("DeiTImageProcessor", {"do_resize": False, "crop_size": SIZE}),
    "not_resized_bgr": ("MobileViTImageProcessor", {"do_resize": False, "crop_size": {"height": 51, "width": 70}}),
    "lanczos": ("ViTImageProcessor", {"size": SIZE, "resample": 1, "do_rescale": False, "image_mean": 100.0}),
}
SQUARE, OBLONG = [3, 13, 13], [3, 13, 18]
TIMM = {
    "timm_center": {"input_size": SQUARE, "crop_pct": 0.7},
    "timm_bare": {"input_size": [3, 14, 14], "crop_pct": None},
    "timm_oblong": {"input_size": OBLONG, "crop_pct": 0.7, "interpolation": "bilinear"},
    "timm_squash": {"input_size": OBLONG, "crop_pct": 0.75, "crop_mode": "squash"},
    "timm_border": {"input_size": OBLONG, "crop_pct": 0.9, "crop_mode": "border", "mean": [0.1, 0.5, 0.9]},
    "timm_border_square": {"input_size": SQUARE, "crop_pct": 1.0, "crop_mode": "border", "interpolation": "lanczos"},
}


def main(directory: Path) -> None:
    rng = np.random.default_rng(0)
    pictures = {"high": picture(rng), "wide": np.ascontiguousarray(picture(rng)[:24, ::-1])}
    expected = dict(pictures)

    def keep(case: str, process) -> None:
        for name, image in pictures.items():
            if case.startswith("bare") and name == "wide":
                continue
            found = process(image)
            expected[f"{case}/{name}"] = found[::STRIDE, ::STRIDE] if max(found.shape) > LARGE else found

    def document(case: str, name: str, content: dict) -> Path:
        (directory / case).mkdir(parents=True, exist_ok=True)
        (directory / case / name).write_text(json.dumps(content, indent=2))
        return directory / case

    for case, (name, entries) in TRANSFORMERS.items():
        key = "feature_extractor_type" if name.endswith("Extractor") else "image_processor_type"
        path = document(case, "preprocessor_config.json", {key: name, **entries})
        cls = name.replace("FeatureExtractor", "ImageProcessor").removesuffix("Fast")
        processor = getattr(transformers, cls).from_pretrained(path)
        keep(case, lambda x, of=processor: of(x, return_tensors="np")["pixel_values"][0].transpose(1, 2, 0))
    for case, entries in TIMM.items():
        document(case, "config.json", {"architecture": "vit_tiny_patch16_224", "pretrained_cfg": entries})
        transform = timm.data.create_transform(**timm.data.resolve_data_config(pretrained_cfg=entries))
        keep(case, lambda x, of=transform: of(Image.fromarray(x)).numpy().transpose(1, 2, 0))
    np.savez_compressed(directory / "expected.npz", **expected)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("image_processors"))
