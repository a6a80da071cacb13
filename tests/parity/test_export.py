"""SavedModels of random checkpoints beside Transformers' pipelines, live: strings and JPEG files in, the same out."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import torch
import transformers
from PIL import Image
from transformers import pipeline

from keras_tx import load_pretrained, load_tokenizer
from keras_tx.export.saved_model import model_signatures
from keras_tx.export.text_generator import TextOptions
from keras_tx.vision import ImagePreprocessor

GOLDEN = Path(__file__).parents[1] / "golden"
PROMPTS = [
    "The value",
    "if x is None:\n    return",
    "naïve café 😀",
    "a",
    "In this case, the name is bound to the object of",
    "an end <|endoftext|>within, and </s> another",
]
COUNT = 17


def randomized(model: torch.nn.Module, scale: float = 0.3) -> torch.nn.Module:
    """With weights, biases too, that all leave their mark."""
    torch.manual_seed(7)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            noise = torch.randn_like(weight)
            weight.copy_(1 + 0.1 * noise if "norm" in name.lower() and "weight" in name else scale * noise)
    return model.eval()


def functions(directory: Path, *, preprocessor=None, **options) -> dict:
    """The traced signatures of a checkpoint's directory."""
    model = load_pretrained(directory)
    tokenizer = None if preprocessor else load_tokenizer(directory)
    signatures = model_signatures(model, tokenizer, preprocessor, TextOptions(**options))
    return {name: signature.traced() for name, signature in signatures.items() if name != "serving_default"}


def texts(tensor) -> list[str]:
    return [text.decode() for text in tensor.numpy()]


@pytest.mark.parametrize("end", ["special", "ordinary"])
def test_text_generation(end, tmp_path):
    """An end token shows if it is not special."""
    tokenizer = transformers.GPT2TokenizerFast.from_pretrained(GOLDEN / "tokenizers" / "gpt2")
    sizes = {"vocab_size": len(tokenizer), "n_positions": 128, "n_embd": 24, "n_layer": 2, "n_head": 3}
    tokens = dict.fromkeys(("bos_token_id", "eos_token_id", "pad_token_id"), tokenizer.eos_token_id)
    model = randomized(transformers.GPT2LMHeadModel(transformers.GPT2Config(**sizes, **tokens)))
    given = tokenizer(PROMPTS[0], return_tensors="pt")
    if end == "ordinary":
        ordinary = model.generate(**given, max_new_tokens=4, do_sample=False)[0, -1].item()
        assert ordinary != tokenizer.eos_token_id
        model.config.eos_token_id = model.generation_config.eos_token_id = ordinary
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    run = pipeline("text-generation", model=model, tokenizer=tokenizer, device="cpu")
    wanted = [run(prompt, max_new_tokens=COUNT, do_sample=False)[0]["generated_text"] for prompt in PROMPTS]
    found = texts(functions(tmp_path)["generate"](tf.constant(PROMPTS), temperature=0.0, max_new_tokens=COUNT)["text"])
    assert found == wanted
    if end == "ordinary":
        assert found[0].endswith(tokenizer.decode([ordinary]))
        assert len(tokenizer(found[0])["input_ids"]) < given["input_ids"].shape[1] + COUNT


@pytest.mark.parametrize("beams", [1, 3])
def test_text_to_text_generation(beams, tmp_path):
    directory = GOLDEN / "sentencepiece" / "t5"
    tokenizer = transformers.AutoTokenizer.from_pretrained(directory)
    config = transformers.T5Config(
        vocab_size=len(tokenizer), d_model=24, d_kv=8, num_heads=3, num_layers=2, d_ff=37, decoder_start_token_id=0
    )
    model = randomized(transformers.T5ForConditionalGeneration(config))
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    options = {"max_new_tokens": COUNT, "do_sample": False, "num_beams": beams}
    wanted = []
    for prompt in PROMPTS:
        given = tokenizer(prompt, return_tensors="pt")
        ids = model.generate(given["input_ids"], attention_mask=given["attention_mask"], **options)[0]
        # What `pipeline("text2text-generation")`, which Transformers 5 no longer has, did with them.
        wanted.append(tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False))
    signatures = functions(tmp_path, num_beams=beams)
    if beams == 1:
        found = signatures["generate"](tf.constant(PROMPTS), temperature=0.0, max_new_tokens=COUNT)
    else:
        found = signatures["generate_beams"](tf.constant(PROMPTS), max_new_tokens=COUNT)
    assert texts(found["text"]) == wanted


def bert(cls: str, directory: Path, **fields):
    tokenizer = transformers.BertTokenizerFast.from_pretrained(GOLDEN / "wordpiece" / "uncased")
    sizes = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 3, "intermediate_size": 29}
    config = transformers.BertConfig(vocab_size=len(tokenizer), max_position_embeddings=64, **sizes, **fields)
    model = randomized(getattr(transformers, cls)(config))
    model.save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    return model, tokenizer


def test_text_classification(tmp_path):
    model, tokenizer = bert("BertForSequenceClassification", tmp_path, id2label={0: "bad", 1: "fair", 2: "good"})
    run = pipeline("text-classification", model=model, tokenizer=tokenizer, device="cpu")
    found = functions(tmp_path)["serve_text"](tf.constant(PROMPTS))
    wanted = run(PROMPTS)
    assert texts(found["label"]) == [answer["label"] for answer in wanted]
    np.testing.assert_allclose(found["score"], [answer["score"] for answer in wanted], atol=1e-4)
    assert len(set(texts(found["label"]))) > 1


def test_fill_mask(tmp_path):
    model, tokenizer = bert("BertForMaskedLM", tmp_path)
    run = pipeline("fill-mask", model=model, tokenizer=tokenizer, device="cpu", top_k=3)
    prompts = ["the [MASK] of x", "[MASK]."]
    found = functions(tmp_path)["serve_text"](tf.constant(prompts), top_k=3)
    for i, prompt in enumerate(prompts):
        wanted = run(prompt)
        assert found["token_id"][i, 0].numpy().tolist() == [answer["token"] for answer in wanted]
        assert texts(found["token"][i, 0]) == [answer["token_str"] for answer in wanted]
        np.testing.assert_allclose(found["score"][i, 0], [answer["score"] for answer in wanted], atol=1e-4)


@pytest.mark.parametrize("resample", [2, 3])
def test_image_classification(resample, tmp_path):
    sizes = {"image_size": 32, "patch_size": 8, "hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 3}
    config = transformers.ViTConfig(**sizes, intermediate_size=37, num_labels=5)
    model = randomized(transformers.ViTForImageClassification(config), 0.2)
    processor = transformers.AutoImageProcessor.from_pretrained(GOLDEN / "preprocessing" / "bilinear")
    processor.size, processor.resample = {"height": 32, "width": 32}, resample
    model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    run = pipeline("image-classification", model=model, image_processor=processor, device="cpu", top_k=5)
    rng, files = np.random.default_rng(3), []
    for i in range(20):
        coarse = Image.fromarray(rng.integers(0, 256, (7, 9, 3)).astype("uint8"))
        data = io.BytesIO()
        exif = Image.Exif()
        exif[0x0112] = 1 + i % 8  # how the camera was held
        coarse.resize((60 + 7 * i, 160 - 5 * i), Image.Resampling.BICUBIC).save(data, "JPEG", quality=90, exif=exif)
        files.append(data.getvalue())
    signatures = functions(tmp_path, preprocessor=ImagePreprocessor.from_pretrained(tmp_path))
    found = signatures["serve_image"](tf.constant(files))
    wanted = [run(Image.open(io.BytesIO(file))) for file in files]
    assert texts(found["label"]) == [answer[0]["label"] for answer in wanted]
    scores = np.array([[{a["label"]: a["score"] for a in answer}[f"LABEL_{i}"] for i in range(5)] for answer in wanted])
    difference = np.abs(found["scores"] - scores).max()
    print(f"scores differ by at most {difference:.2g}")
    assert difference < 0.02 and len(set(texts(found["label"]))) > 1
