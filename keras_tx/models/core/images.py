"""Models of images: what all configs, backbones, heads and models of them share.

Shape letters: B batch, H and W height and width of images, C channels, N patches, h and w height and width of maps.
"""

from __future__ import annotations

import dataclasses
import math
import warnings
from collections.abc import Callable
from typing import Any, ClassVar, Self

import keras

from keras_tx import convert
from keras_tx.models.core.backbone import Backbone
from keras_tx.models.core.base import LOSSES
from keras_tx.models.core.config import Config, ProblemType, require_problem_type
from keras_tx.models.core.head import Head, HeadModel
from keras_tx.models.core.inputs import image_inputs
from keras_tx.models.core.pretrained import Pretrained
from keras_tx.ops.checks import require_positive
from keras_tx.ops.image.patches import Size, grid, pair
from keras_tx.ops.image.resample import adapt_kernel


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImageConfig(Config):
    """The base of the configs of images."""

    head_fields = frozenset({"num_classes", "problem_type", "label_names"})

    image_size: Size = 224
    """Height and width of the images, or one number for both."""
    channels: int = 3
    num_classes: int = 1000
    """Classes to tell apart; 0 for a classifier that gives the pooled features instead."""
    problem_type: ProblemType | None = None
    """What a classifier's logits are of: one class, several at once, or the numbers of a regression; None for one
    class of several, or yes or no to the only one."""
    label_names: tuple[str, ...] | None = None
    """The names of the classes."""

    def __post_init__(self):
        height, width = pair(self.image_size)
        require_positive(image_size=height, channels=self.channels)
        require_positive(image_size=width)
        if not isinstance(self.num_classes, int) or self.num_classes < 0:
            raise ValueError(f"`num_classes` must be a whole number, 0 for no head; got {self.num_classes!r}.")
        require_problem_type(self.problem_type)
        if self.label_names is not None and len(self.label_names) != self.num_classes:
            raise ValueError(
                f"`label_names` must be as many as `num_classes` = {self.num_classes}; got {self.label_names}."
            )

    @property
    def stride(self) -> tuple[int, int]:
        """Pixels between neighbouring patches, down and across."""
        raise NotImplementedError

    @property
    def decoder_stride(self) -> tuple[int, int]:
        """Pixels, down and across, that a masked image model makes of one token of the last map."""
        return self.stride

    @property
    def grid(self) -> tuple[int, int]:
        """The number of patches that an image is high and wide."""
        return grid(self.image_size, self.stride)

    def replace(self, **fields: Any) -> Self:
        """Does what `Config.replace` does; another `num_classes` drops the names of the old classes."""
        if fields.get("num_classes", self.num_classes) != self.num_classes:
            fields.setdefault("label_names", None)
        return super().replace(**fields)


def require_a_patch(config: ImageConfig) -> None:
    """Raises ValueError where images are smaller than a patch; beyond whole patches, the rest is left out."""
    if 0 in config.grid:
        raise ValueError(f"`image_size` must be no smaller than a patch, {config.stride}; got {config.image_size}.")


def _or_none(conversion: Callable[..., Any], *arguments: Any) -> Any:
    """Returns a document of preprocessing; None, with a warning, where we do not have what it asks for."""
    try:
        return conversion(*arguments)
    except ValueError as error:
        warnings.warn(f"the preprocessing of images is left out: {error}", stacklevel=4)
        return None


class Preprocessed(Pretrained):
    """What loads and saves the preprocessing of images along with a model.

    Attributes:
        preprocessing: as the checkpoint says it, for `save_pretrained` to write; None for none.
    """

    preprocessing: dict[str, Any] | None = None
    config: Any

    def restore(self, checkpoint, saved: Any) -> list[str]:
        document = convert.read_preprocessing(checkpoint.path)
        before, after = pair(saved.image_size), pair(self.config.image_size)
        if document is not None and before != after:
            document = _or_none(convert.preprocessing_at_size, document, before, after)
        self.preprocessing = document
        return super().restore(checkpoint, saved)

    def with_kept(self, config, format):
        if self.preprocessing is None:
            return config, {}
        if format == "timm":
            entries = _or_none(convert.as_timm, self.preprocessing) or {}
            return {**config, "pretrained_cfg": config["pretrained_cfg"] | entries}, {}
        document = _or_none(convert.as_transformers, self.preprocessing)
        return config, {} if document is None else {convert.PREPROCESSOR: document}


class ImageBackbone(Preprocessed, Backbone):
    """A backbone that reads images, `(B, H, W, C)`: floating point, scaled as it was trained with.

    `backbone(images)` gives a dict with `"last_hidden_state"`, normalized.
    """

    input_names: tuple[str, ...] = ("images",)
    config: Any
    hides_patches: bool = False
    """Whether it has a mask token, for the patches that `bool_masked_pos` hides."""

    @property
    def inputs_taken(self) -> tuple[str, ...]:
        """The names of the tensors that this backbone takes."""
        return (*self.input_names, "bool_masked_pos") if self.hides_patches else self.input_names

    @property
    def num_levels(self) -> int:
        """The number of maps that `feature_maps` can give: one a block, or one a stage."""
        raise NotImplementedError

    @property
    def widths(self) -> tuple[int, ...]:
        """The width of each level's map."""
        return (self.width,) * self.num_levels

    def levels(self, count: int) -> tuple[int, ...]:
        """The numbers, from 1, of `count` levels at equal distances, the last one among them."""
        return tuple(-(-self.num_levels * i // count) for i in range(1, count + 1))

    def feature_maps(self, outputs: dict[str, Any], images, levels: tuple[int, ...]) -> tuple:
        """The maps of some levels, `(B, h, w, width)` each.

        Args:
            outputs: what the backbone gave, with hidden states.
            images: that it was called with.
            levels: their numbers, from 1.
        """
        raise NotImplementedError

    def input_signature(self, image_size: Size | None = None) -> dict[str, keras.InputSpec]:
        """The input tensors by name, of images of this size; the config's unless given. The batch is free."""
        size = image_size or self.config.image_size
        patches = math.prod(grid(size, self.config.stride))
        specs = {
            "images": ((None, *pair(size), self.config.channels), "float32"),
            "bool_masked_pos": ((None, patches), "bool"),
            "noise": ((None, patches), "float32"),
        }
        named = {name: specs[name] for name in self.inputs_taken}
        return {name: keras.InputSpec(name=name, shape=shape, dtype=dtype) for name, (shape, dtype) in named.items()}

    def call(
        self,
        images,
        bool_masked_pos=None,
        noise=None,
        return_attention: bool = False,
        return_hidden_states: bool = False,
        training=None,
    ) -> dict[str, Any]:
        """The hidden states of images. Takes what `ImageModel.call` takes, without labels.

        Returns:
            A dict with `"last_hidden_state"`, normalized: a Vision Transformer's tokens, `(B, T, d_model)`, or the map
            of a Swin Transformer's last stage, `(B, h, w, width)`; of a masked autoencoder also `"mask"` and
            `"ids_restore"`, `(B, N)`; and `"hidden_states"`, `"feature_maps"` and `"attentions"` as asked for.
        """
        named = {"bool_masked_pos": bool_masked_pos, "noise": noise}
        given = image_inputs(images, named, self.inputs_taken, self.config.channels)
        outputs = self.hidden(**given, return_attention=return_attention, training=training)
        inner = () if return_hidden_states else ("hidden_states", "feature_maps")
        return {name: x for name, x in outputs.items() if name not in inner}

    def hidden(self, *inputs: Any, **options: Any) -> dict[str, Any]:
        """Returns what `call` does, always with hidden states.

        Args:
            inputs: checked, by the names of `inputs_taken`; None for those not given.
            options: `return_attention` and `training`.
        """
        raise NotImplementedError

    @classmethod
    def adapt(cls, path, values, before, after):
        if path == "backbone/patch_embedding/kernel":
            return adapt_kernel(values, after.patch_size, after.channels)
        return values


class ImageHead(Head):
    """A head on what a backbone makes of images.

    Attributes:
        levels: the numbers of the backbone's levels whose maps it reads, as `"feature_maps"` among the outputs.
    """

    targets: ClassVar = {}
    levels: tuple[int, ...] = ()

    def own_losses(self, outputs, labels, weights):
        return {}


class ImageModel(Preprocessed, HeadModel):
    """A model of images, `(B, H, W, C)`: floating point, scaled as it was trained with."""

    config: Any
    gives_features: ClassVar[bool] = False
    """Whether there are pooled features that may be asked for in place of the logits."""

    def input_signature(self, image_size: Size | None = None) -> dict[str, keras.InputSpec]:
        """The input tensors by name, of images of this size; the config's unless given. The batch is free."""
        taken = self.taken()
        return {name: spec for name, spec in self.backbone.input_signature(image_size).items() if name in taken}

    def call(
        self,
        images,
        bool_masked_pos=None,
        noise=None,
        labels=None,
        class_labels=None,
        boxes=None,
        return_features: bool = False,
        return_attention: bool = False,
        return_hidden_states: bool = False,
        training=None,
    ):
        """Returns the head's outputs for images and, where it can be told, the loss.

        Each model takes the inputs and labels that its backbone and its head have a use for, and refuses others.

        Args:
            images: `(B, H, W, C)`, floating point, or a dict of any of the tensors below with `"images"`.
            bool_masked_pos: `(B, N)`, True or not 0 for each of the N patches, row by row, that is hidden.
            noise: `(B, N)`, a number for each patch; those with the lowest are seen by a masked autoencoder. Drawn
                unless given, at inference too.
            labels: of pixels, integers `(B, H, W)`; `semantic_loss_ignore_index`, or -100, does not count.
            class_labels: integers `(B, M)`, the classes of the objects in each image, in as many slots for each and no
                more than `num_queries`; -100 for those left over.
            boxes: `(B, M, 4)`, centre, width and height `(x, y, w, h)` of the objects, in shares of the image.
            return_features: give a classifier's pooled features in place of its logits.
            return_attention: also give every block's attention map, `"attentions"`: `(B, heads, T, T)`, or of windows
                `(B * windows, heads, queries, keys)`, an image's row by row as they lie after the shift. A detector
                also gives its decoder's: of the queries on the map, `"cross_attentions"`, `(B, heads, num_queries,
                h * w)` for each block, and on each other, `"decoder_attentions"`; and of its encoder, if there is one,
                `"encoder_attentions"`.
            return_hidden_states: also give `"hidden_states"`: the embedded patches, then each block's output, tokens
                `(B, T, d_model)` or maps `(B, h, w, width)`; of a Swin Transformer also `"feature_maps"`, the last of
                each stage.
            training: whether dropout is active.

        Returns:
            As the class says: a dict with the logits, `"loss"` and what was asked for; of a classifier the logits
            alone, `(B, num_classes)`, where nothing else was asked for.

        Raises:
            ValueError: for images of another rank, order of axes, number of channels or dtype, or smaller than a patch;
                for other inputs that do not fit them.
        """
        if return_features and not self.gives_features:
            raise ValueError(f"a {type(self).__name__} has no pooled features: `return_features` is for classifiers.")
        named = {
            "bool_masked_pos": bool_masked_pos,
            "noise": noise,
            "labels": labels,
            "class_labels": class_labels,
            "boxes": boxes,
        }
        given = image_inputs(images, named, self.taken(), self.config.channels)
        hidden = self.run_backbone(given, return_attention=return_attention, training=training)
        outputs = self.run_head(hidden, given, training)
        outputs |= self.own_losses(outputs, given)
        asked = ["attentions"] * return_attention + ["hidden_states", "feature_maps"] * return_hidden_states
        outputs |= {name: hidden[name] for name in asked if name in hidden}
        return self.answer(outputs, return_features=return_features)

    def run_backbone(self, given: dict[str, Any], **options: Any) -> dict[str, Any]:
        """Returns the backbone's outputs, hidden states too, for the model's inputs."""
        inputs = {name: given[name] for name in self.backbone.inputs_taken if given.get(name) is not None}
        return self.backbone(inputs, return_hidden_states=True, **options)

    def run_head(self, hidden: dict[str, Any], given: dict[str, Any], training=None) -> dict[str, Any]:
        """Returns the head's outputs, for those of the backbone and the model's inputs."""
        if self.head.levels:
            hidden = hidden | {"feature_maps": self.backbone.feature_maps(hidden, given["images"], self.head.levels)}
        return self.head(hidden, {name: x for name, x in given.items() if x is not None}, training=training)

    def answer(self, outputs: dict[str, Any], *, return_features: bool = False) -> Any:
        """Returns those of all outputs that `call` returns."""
        return outputs

    def predict_step(self, *arguments):
        """Leaves out the losses: `predict` puts the rows of all batches together, and a loss has none."""
        result = super().predict_step(*arguments)
        outputs, *state = result if isinstance(result, tuple) else (result,)
        if isinstance(outputs, dict):
            outputs = {name: x for name, x in outputs.items() if name not in LOSSES}
        return (outputs, *state) if state else outputs

    def get_attention_maps(self, images, block_idx: int = -1):
        """The attention map of one block.

        Args:
            images: as `call` takes its inputs.
            block_idx: which block, counted through all stages; from the end if negative.

        Returns:
            float32 `(B, heads, queries, keys)`, as `call` gives it with `return_attention`.

        Raises:
            ValueError: if there is no such block.
        """
        maps = self(images, return_attention=True)["attentions"]
        if not -len(maps) <= block_idx < len(maps):
            raise ValueError(f"`block_idx` must lie in [-{len(maps)}, {len(maps)}); got {block_idx}.")
        return maps[block_idx]
