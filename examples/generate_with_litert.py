"""Continues a text with a model that `export_litert` wrote, by ai-edge-litert, NumPy and tokenizers alone.

python examples/generate_with_litert.py model.tflite TOKENIZER_DIRECTORY "The " [NEW_TOKENS [END]]

A model with a source, as T5, answers it. The directory has a `tokenizer.json`; END is the token that ends texts, as
"</s>" or "<|endoftext|>".
"""

import sys

import numpy as np
from ai_edge_litert.interpreter import Interpreter


def generate(interpreter: Interpreter, ids: np.ndarray, count: int, end: int | None = None) -> np.ndarray:
    """The likeliest tokens, one by one, after the prompts `ids`, int32 `(B, P)`: `(B, N)`.

    N is `count`, or less where all rows have come to the token `end`. A model with a source reads it whole, and
    `prefill` knows the decoder's first token.
    """
    prefill, decode = map(interpreter.get_signature_runner, ("prefill", "decode"))
    found = prefill(input_ids=ids, attention_mask=np.ones_like(ids))
    wanted = decode.get_input_details()
    has_source = "encoder_attention_mask" in wanted
    begun = 1 if has_source else ids.shape[1]
    slots = begun + count
    slotted, axis = ("past_key_0", 2) if has_source else ("attention_mask", 1)
    fixed = wanted[slotted]["shape_signature"][axis] if slotted in wanted else -1
    if fixed > 0:  # exported with `cache_length`
        if fixed < slots:
            sys.exit(f"the model's cache has {fixed} places, and prompt and new tokens need {slots}.")
        slots = fixed
    same = {name: x for name, x in found.items() if name.startswith("cross_")}
    if has_source:
        same["encoder_attention_mask"] = np.ones_like(ids)
    elif "attention_mask" in wanted:
        same["attention_mask"] = np.ones((len(ids), slots), "int32")  # 0 where a prompt is padded
    cache = {name.replace("present_", "past_"): x for name, x in found.items() if name.startswith("present_")}
    for name, x in cache.items():
        length = wanted[name]["shape_signature"][2]
        if length < 0 or length == slots:  # otherwise linear attention's, whose cache does not grow
            cache[name] = np.pad(x, [(0, 0), (0, 0), (0, slots - x.shape[2]), (0, 0)])
    tokens = [found["logits"].argmax(-1)]
    for position in range(begun, begun + count - 1):
        if (np.stack(tokens) == end).any(axis=0).all():
            break
        step = {"input_ids": tokens[-1][:, None].astype("int32"), "cache_position": np.array(position, "int32")}
        found = decode(**step, **same, **cache)
        cache = {name.replace("present_", "past_"): x for name, x in found.items() if name.startswith("present_")}
        tokens.append(found["logits"].argmax(-1))
    return np.stack(tokens, axis=1)


def main(model: str, directory: str, text: str, count: str = "40", ends: str = "") -> None:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(f"{directory}/tokenizer.json")
    ids = np.array([tokenizer.encode(text).ids], "int32")
    end = tokenizer.token_to_id(ends)
    if ends and end is None:
        sys.exit(f"the tokenizer has no token {ends!r}.")
    interpreter = Interpreter(model)
    tokens = generate(interpreter, ids, int(count), end)[0]
    has_source = "encoder_attention_mask" in interpreter.get_signature_list()["decode"]["inputs"]
    print(("" if has_source else text) + tokenizer.decode(tokens.tolist()))


if __name__ == "__main__":
    if len(sys.argv) not in (4, 5, 6):
        sys.exit(__doc__)
    main(*sys.argv[1:])
