"""A classifier's checkpoint fills the backbone of what segments and detects; the head starts fresh."""

from pathlib import Path

import numpy as np
import pytest
from helpers import numpy

from keras_tx.models import (
    SwinForObjectDetection,
    SwinForSemanticSegmentation,
    SwinTransformer,
    VisionTransformer,
    ViTForObjectDetection,
    ViTForSemanticSegmentation,
    load_pretrained,
)
from keras_tx.models.vit import dense as vit_dense

GOLDEN = Path(__file__).parents[1] / "golden"
SMALL = {"decoder_d_model": 12, "decoder_num_heads": 2, "decoder_d_ff": 17, "decoder_num_layers": 1, "num_queries": 7}
VIT = (VisionTransformer, ViTForSemanticSegmentation, ViTForObjectDetection)
SWIN = (SwinTransformer, SwinForSemanticSegmentation, SwinForObjectDetection)
CASES = [
    ("vit/classifier", *VIT),
    ("vit/model", *VIT),
    ("vit/timm_registers", *VIT),
    ("vit_h5/classifier", *VIT),
    ("swin/swin", *SWIN),
    ("swin/timm_swinv2", *SWIN),
]


def shared(a, b) -> set[str]:
    """The paths of the weights that both have; they must hold the same numbers."""
    ours, theirs = a.weights_by_path(), b.weights_by_path()
    for path in ours.keys() & theirs.keys():
        np.testing.assert_array_equal(numpy(ours[path]), numpy(theirs[path]), err_msg=path)
    return ours.keys() & theirs.keys()


@pytest.mark.parametrize(("case", "classifier", "segmentation", "detection"), CASES, ids=lambda x: str(x)[:18])
def test_a_peers_classifier(case, classifier, segmentation, detection):
    whole = classifier.from_pretrained(GOLDEN / case)
    heads = {path for path in whole.weights_by_path() if path.startswith("head/")}
    with pytest.warns(UserWarning, match="fresh, for the checkpoint lacks them: .*decoder, .*pixel_classifier"):
        model = segmentation.from_pretrained(GOLDEN / case, num_classes=3, decoder_width=11)
    assert shared(model, whole) == whole.weights_by_path().keys() - heads
    with pytest.warns(UserWarning, match="fresh, for the checkpoint lacks them: .*class_head, decoder"):
        model = detection.from_pretrained(GOLDEN / case, num_classes=3, **SMALL)
    assert shared(model, whole) == whole.weights_by_path().keys() - heads


def test_our_own_classifier(tmp_path):
    """And images of another size, in which the positions are resampled."""
    classifier = VisionTransformer(image_size=8, patch_size=4, num_classes=3, num_layers=1, d_model=12, num_heads=3)
    classifier.save_pretrained(tmp_path)
    with pytest.warns(UserWarning) as caught:
        model = ViTForSemanticSegmentation.from_pretrained(tmp_path, image_size=16, decoder_width=7)
    fresh, left = (str(w.message) for w in caught)
    assert (
        "fresh" in fresh
        and "decoder/lateral_0/kernel" in fresh
        and "left out" in left
        and "head/classifier/kernel" in left
    )
    assert model.config.num_classes == 3 and model.backbone.position_embedding.shape == (1, 17, 12)
    kernels = (numpy(x.backbone.blocks[0].attention.query.kernel) for x in (model, classifier))
    np.testing.assert_array_equal(*kernels)


def test_they_are_saved_in_our_own_format_alone(tmp_path):
    model = ViTForSemanticSegmentation(vit_dense.TINY_SEGMENTATION)
    with pytest.raises(ValueError, match="`format` of a ViTForSemanticSegmentation must be one of 'keras_tx'; got"):
        model.save_pretrained(tmp_path, format="huggingface")
    model.save_pretrained(tmp_path)
    copy = load_pretrained(tmp_path)
    assert type(copy) is ViTForSemanticSegmentation and len(shared(copy, model)) == len(model.weights)
    with pytest.raises(ValueError, match="holds a ViTForSemanticSegmentation: it cannot be loaded as ViTForObject"):
        ViTForObjectDetection.from_pretrained(tmp_path)


def test_other_families():
    with pytest.raises(ValueError, match="`model_type` is 'swin'; ViTBackbone can be read from 'vit'"):
        ViTForObjectDetection.from_pretrained(GOLDEN / "swin/swin")
