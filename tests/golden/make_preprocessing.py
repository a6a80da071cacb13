"""Makes preprocessing/: what Transformers 4.57 makes of a picture before a model sees it.

    python tests/golden/make_preprocessing.py [DIRECTORY]

A case's directory holds `preprocessor_config.json`; `expected.npz` the picture (`image`) and what became of it by case.
Needs torch, Pillow and transformers.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from transformers import CLIPImageProcessor, DeiTImageProcessor, ViTImageProcessor

SIZE = {"height": 13, "width": 17}
CASES = {
    "bilinear": ViTImageProcessor(size=SIZE, resample=2),
    "bicubic": ViTImageProcessor(size=SIZE, resample=3, image_mean=[0.4, 0.5, 0.6], image_std=[0.2, 0.3, 0.25]),
    "larger": ViTImageProcessor(size={"height": 53, "width": 47}, resample=3, do_normalize=False),
    "cut": DeiTImageProcessor(size={"height": 19, "width": 23}, crop_size=SIZE, resample=2),
    "shortest_edge": CLIPImageProcessor(size={"shortest_edge": 19}, crop_size=SIZE, resample=3),
}


def picture(rng: np.random.Generator) -> np.ndarray:
    """Smooth waves, an edge and noise: uint8 `(37, 31, 3)`."""
    y, x = np.mgrid[:37, :31]
    waves = np.stack([np.sin(y / (3 + c)) * np.cos(x / (4 + c)) for c in range(3)], axis=-1)
    image = 127 + 90 * waves + 30 * (x > 15)[..., None] + rng.normal(0, 8, waves.shape)
    return image.clip(0, 255).astype("uint8")


def main(directory: Path) -> None:
    image = picture(np.random.default_rng(0))
    expected = {"image": image}
    for case, processor in CASES.items():
        processor.save_pretrained(directory / case)
        expected[case] = processor(image, return_tensors="np")["pixel_values"].transpose(0, 2, 3, 1)
    np.savez_compressed(directory / "expected.npz", **expected)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("preprocessing"))
