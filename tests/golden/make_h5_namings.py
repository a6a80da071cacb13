"""Makes h5_namings/: a small random model of each of Transformers' TensorFlow classes, under each naming they write.

    TF_USE_LEGACY_KERAS=1 PYTHONPATH=tests python tests/golden/make_h5_namings.py [DIRECTORY]

How a weight is called in HDF5 depends on how the model was made. A class's directory holds `config.json` and the same
numbers several times:

- `scoped.h5.gz`: of a model that was called, or built by `build_in_name_scope`, as `from_pretrained` does;
- `built.h5.gz`: of one that was built by `build`;
- `inside.h5.gz`: of one in another model and a name scope;
- `resized.h5.gz`: of one whose vocabulary became larger, with a `config.json` of its own, `resized.json`;
- `sharded.zip`: a directory that was written in parts;
- `tensorflow.safetensors`: what `safe_serialization=True` writes;

and `expected.npz`: the inputs (`given/NAME`) and the outputs (`NAME`) as our classes call them. What `make_h5.py` says
of needs holds here, too.
"""

from __future__ import annotations

import gzip
import json
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
import tensorflow as tf
import transformers

BATCH, CHOICES, LENGTH, SIDE = 2, 2, 5, 6
BERT = {
    "vocab_size": 37,
    "max_position_embeddings": 11,
    "type_vocab_size": 3,
    "hidden_size": 6,
    "num_hidden_layers": 1,
    "num_attention_heads": 3,
    "intermediate_size": 7,
}
GPT = {"vocab_size": 37, "n_positions": 11, "n_embd": 6, "n_layer": 1, "n_head": 3, "pad_token_id": 5}
T5 = {
    "vocab_size": 37,
    "d_model": 6,
    "d_kv": 5,
    "d_ff": 7,
    "num_layers": 2,
    "num_decoder_layers": 1,
    "num_heads": 3,
    "relative_attention_num_buckets": 8,
    "decoder_start_token_id": 0,
}
VIT = {
    "hidden_size": 8,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 7,
    "image_size": SIDE,
    "patch_size": 3,
    "num_labels": 5,
}
MAE = {
    **VIT,
    "decoder_num_attention_heads": 1,
    "decoder_hidden_size": 4,
    "decoder_num_hidden_layers": 1,
    "decoder_intermediate_size": 5,
    "mask_ratio": 0.5,
}
SWIN = {
    "image_size": SIDE,
    "patch_size": 1,
    "embed_dim": 6,
    "depths": [1, 1],
    "num_heads": [3, 2],
    "window_size": 3,
    "mlp_ratio": 1.5,
    "num_labels": 5,
    "encoder_stride": 2,
}
BERT_HEADS = (
    *("PreTraining", "MaskedLM", "NextSentencePrediction", "SequenceClassification"),
    *("TokenClassification", "QuestionAnswering", "MultipleChoice"),
)
CASES = {
    "BertModel": BERT,
    **{f"BertFor{head}": BERT for head in BERT_HEADS},
    **{
        f"{family}{head}": GPT
        for family in ("GPT2", "OpenAIGPT")
        for head in ("LMHeadModel", "ForSequenceClassification", "DoubleHeadsModel")
    },
    "T5ForConditionalGeneration": T5,
    "T5ForConditionalGeneration-untied": {**T5, "feed_forward_proj": "gated-gelu", "tie_word_embeddings": False},
    "T5EncoderModel": T5,
    "ViTModel": VIT,
    "ViTForImageClassification": VIT,
    "ViTMAEForPreTraining": MAE,
    "DeiTModel": VIT,
    "DeiTForImageClassification": VIT,
    "DeiTForImageClassificationWithTeacher": VIT,
    "SwinModel": SWIN,
    "SwinForImageClassification": SWIN,
    "SwinForMaskedImageModeling": SWIN,
}
RESIZED = ("BertForPreTraining", "OpenAIGPTLMHeadModel", "GPT2LMHeadModel", "T5ForConditionalGeneration")
INSIDE = ("BertForMaskedLM", "T5ForConditionalGeneration", "SwinForMaskedImageModeling", "ViTMAEForPreTraining")
SHARDED = ("BertForMaskedLM", "T5ForConditionalGeneration", "GPT2LMHeadModel")
NAMES = {
    "prediction_logits": "logits",
    "pooler_output": "logits",
    "reconstruction": "logits",
}
"""Of outputs that are called otherwise in ours."""
TUPLES = ("BertModel", "RobertaModel", "MPNetModel", "AlbertModel", "LongformerModel", "EsmModel")
"""Of which ours gives a tuple."""


def make_inputs(name: str, rng: np.random.Generator) -> dict[str, np.ndarray]:
    if name.startswith(("ViT", "DeiT", "Swin")):
        given = {"images": rng.normal(size=(BATCH, SIDE, SIDE, 3)).astype("float32")}
        if "MAEFor" in name:
            given["noise"] = rng.random((BATCH, 4)).astype("float32")
        if "Masked" in name:
            given["bool_masked_pos"] = rng.random((BATCH, SIDE**2)) < 0.5
        return given
    choices = "MultipleChoice" in name or "Double" in name
    ids = rng.integers(6, 37, (BATCH, CHOICES, LENGTH) if choices else (BATCH, LENGTH), "int32")
    given = {"input_ids": ids}
    if "Double" in name:
        given["mc_token_ids"] = np.array([[4, 3], [2, 0]], "int32")
    if "T5For" in name:
        given["decoder_input_ids"] = rng.integers(0, 37, (BATCH, 3), "int32")
    return given


def theirs(given: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The same with images as the peer has them."""
    named = dict(given)
    if "images" in named:
        named["pixel_values"] = np.moveaxis(named.pop("images"), -1, 1)
    return named


def make_outputs(name: str, model, given: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    both = ("cls_logits", "distillation_logits")  # of which a third is the mean
    outputs = {key: x for key, x in model(theirs(given)).items() if "logits" in key and key not in both}
    if not outputs:
        found = model(theirs(given))
        numbered = {"last_hidden_state": "0", "pooler_output": "1"} if name in TUPLES else {}
        pooled = not name.startswith(("T5", "DistilBert", "Electra", "Deberta"))
        keys = ("pooler_output", "reconstruction") if pooled else ("last_hidden_state",)
        outputs = {numbered.get(key, NAMES.get(key, key)): found[key] for key in numbered or keys if key in found}
    arrays = {NAMES.get(key, key): x.numpy() for key, x in outputs.items()}
    if "MaskedImage" in name:
        arrays["logits"] = np.moveaxis(arrays["logits"], 1, -1)
    return arrays


def bare(name: str) -> str:
    """A weight's name without that of its model, however it was made."""
    return "/".join(level for level in name.split("/") if not level.startswith(("tf", "outer")))


def compress(path: Path) -> None:
    with path.open("rb") as file, gzip.GzipFile(path.with_name(f"{path.name}.gz"), "wb", mtime=0) as archive:
        shutil.copyfileobj(file, archive)
    path.unlink()


def write(directory: Path, cases: dict[str, dict]) -> None:
    for seed, (case, fields) in enumerate(cases.items()):
        name, path = case.partition("-")[0], directory / case
        cls = getattr(transformers, f"TF{name}")
        rng = np.random.default_rng(seed)
        given = make_inputs(name, rng)
        scoped = cls(cls.config_class(**fields))
        scoped(theirs(given))
        for weight in scoped.weights:
            if weight.dtype.is_floating and not any(kept in weight.name for kept in ("pos_embed", "inv_freq")):
                norm = "gamma" in weight.name or ("T5" in name and "norm" in weight.name)
                weight.assign(rng.normal(1.0 if norm else 0.0, 0.3, weight.shape))
        values = {bare(weight.name): weight.numpy() for weight in scoped.weights}

        def filled(model, values=values):
            for weight in model.weights:
                weight.assign(values[bare(weight.name)])
            return model

        filled(scoped)  # ESM's has the token table twice, as two variables of one name
        scoped.save_pretrained(path, safe_serialization=True)
        (path / "generation_config.json").unlink(missing_ok=True)
        (path / "model.safetensors").rename(path / "tensorflow.safetensors")
        built = cls(cls.config_class(**fields))
        built.build()
        models = {"scoped": scoped, "built": filled(built)}
        if case in INSIDE:
            with tf.name_scope("outer"), tf.name_scope("outer_too"):
                inside = cls(cls.config_class(**fields))
                inside(theirs(given))
            models["inside"] = filled(inside)
        for naming, model in models.items():
            model.save_weights(str(path / f"{naming}.h5"))
            compress(path / f"{naming}.h5")
        if case in SHARDED:
            with tempfile.TemporaryDirectory() as parts:
                scoped.save_pretrained(parts, max_shard_size="1KB")
                shutil.make_archive(str(path / "sharded"), "zip", parts)
        expected = make_outputs(name, scoped, given) | {f"given/{key}": x for key, x in given.items()}
        np.savez_compressed(path / "expected.npz", **expected)
        if case in RESIZED:
            scoped.resize_token_embeddings(41)
            scoped.save_weights(str(path / "resized.h5"))
            compress(path / "resized.h5")
            (path / "resized.json").write_text(json.dumps(scoped.config.to_dict(), indent=2))


if __name__ == "__main__":
    tf.config.set_visible_devices([], "GPU")
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("h5_namings"), CASES)
