"""Makes transformer/: what `torch.nn.Transformer` computes, between embeddings and logits as the paper has them.

    python tests/golden/make_transformer.py [DIRECTORY]

A file holds the weights under the paths that they have in keras_tx (`weights/PATH`), the inputs (`given/NAME`), the
model's fields (`facts`), and `logits`, `context` and `loss`. Needs torch.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

BATCH, SOURCE, TARGET = 3, 7, 5
SIZES = {"vocab_size": 61, "d_model": 18, "num_heads": 3, "dim_feedforward": 29, "final_norm": True}
CASES = {
    "post": {**SIZES, "num_layers": 2, "num_decoder_layers": 3},
    "pre": {
        **SIZES,
        "num_layers": 3,
        "num_decoder_layers": 2,
        "norm_position": "pre",
        "activation": "gelu",
        "source_vocab_size": 67,
        "tie_embeddings": False,
        "label_smoothing": 0.1,
    },
}


def make_transformer(fields: dict) -> torch.nn.Transformer:
    """With weights, biases too, that all leave their mark on the outputs."""
    model = torch.nn.Transformer(
        fields["d_model"],
        fields["num_heads"],
        fields["num_layers"],
        fields["num_decoder_layers"],
        fields["dim_feedforward"],
        activation=fields.get("activation", "relu"),
        norm_first=fields.get("norm_position") == "pre",
        batch_first=True,
    )
    with torch.no_grad():
        for name, weight in model.named_parameters():
            weight.normal_(0.0, 0.3 if weight.ndim > 1 else 0.1)
            if "norm" in name and name.endswith("weight"):
                weight += 1.0
    return model.eval()


def positions(length: int, width: int) -> torch.Tensor:
    """Sine at even channels, cosine at odd ones, `(length, width)`."""
    angles = torch.arange(length)[:, None] / 10000.0 ** (torch.arange(0, width, 2) / width)
    return torch.stack([angles.sin(), angles.cos()], dim=-1).reshape(length, width)


def weights(model: torch.nn.Transformer) -> dict[str, torch.Tensor]:
    """The weights under the paths that they have in keras_tx."""
    parts = {
        "norm1": "attention_norm",
        "norm2": "feed_forward_norm",
        "linear1": "feed_forward/up",
        "linear2": "feed_forward/down",
    }
    decoder = {**parts, "norm2": "cross_attention_norm", "norm3": "feed_forward_norm"}
    found = {}
    for stack, theirs in (("encoder", parts), ("decoder", decoder)):
        module = getattr(model, stack)
        for i, layer in enumerate(module.layers):
            block = f"{stack}/block_{i}"
            for name, path in theirs.items():
                found |= of_layer(f"{block}/{path}", getattr(layer, name))
            found |= of_attention(f"{block}/attention", layer.self_attn)
            if stack == "decoder":
                found |= of_attention(f"{block}/cross_attention", layer.multihead_attn)
        found |= of_layer(f"{stack}/norm", module.norm)
    return found


def of_layer(path: str, layer: torch.nn.Module) -> dict[str, torch.Tensor]:
    if isinstance(layer, torch.nn.LayerNorm):
        return {f"{path}/gamma": layer.weight, f"{path}/beta": layer.bias}
    return {f"{path}/kernel": layer.weight.T, f"{path}/bias": layer.bias}


def of_attention(path: str, layer: torch.nn.MultiheadAttention) -> dict[str, torch.Tensor]:
    found = of_layer(f"{path}/output", layer.out_proj)
    names = ("query", "key", "value")
    for name, kernel, bias in zip(names, layer.in_proj_weight.chunk(3), layer.in_proj_bias.chunk(3), strict=True):
        found |= {f"{path}/{name}/kernel": kernel.T, f"{path}/{name}/bias": bias}
    return found


def main(directory: Path) -> None:
    directory.mkdir(exist_ok=True)
    for seed, (case, fields) in enumerate(CASES.items()):
        torch.manual_seed(seed)
        model, width, vocab = make_transformer(fields), fields["d_model"], fields["vocab_size"]
        own_source = fields.get("source_vocab_size")
        tables = {"token_embedding/embeddings": torch.randn(vocab, width) * 0.3}
        if own_source:
            tables["source_embedding/embeddings"] = torch.randn(own_source, width) * 0.3
        head = {}
        if not fields.get("tie_embeddings", True):
            head = {
                "output_projection/kernel": torch.randn(width, vocab) * 0.3,
                "output_projection/bias": torch.randn(vocab) * 0.1,
            }
        target_table = tables["token_embedding/embeddings"]
        source_table = tables.get("source_embedding/embeddings", target_table)
        source = torch.randint(0, own_source or vocab, (BATCH, SOURCE))
        target = torch.randint(0, vocab, (BATCH, TARGET))
        labels = torch.randint(0, vocab, (BATCH, TARGET))
        labels[1, 3:] = -100
        source_mask, target_mask = torch.ones(BATCH, SOURCE, dtype=int), torch.ones(BATCH, TARGET, dtype=int)
        source_mask[1, 5:] = 0
        target_mask[1, 3:] = 0
        with torch.no_grad():
            x = source_table[source] * width**0.5 + positions(SOURCE, width)
            y = target_table[target] * width**0.5 + positions(TARGET, width)
            hidden = source_mask == 0
            context = model.encoder(x, src_key_padding_mask=hidden)
            ahead = torch.ones(TARGET, TARGET, dtype=bool).triu(1)
            decoded = model.decoder(
                y,
                context,
                tgt_mask=ahead,
                tgt_key_padding_mask=target_mask == 0,
                memory_key_padding_mask=hidden,
            )
            logits = decoded @ (head["output_projection/kernel"] if head else target_table.T)
            logits = logits + head.get("output_projection/bias", 0.0)
            smoothing = fields.get("label_smoothing", 0.0)
            loss = functional.cross_entropy(logits.reshape(-1, vocab), labels.reshape(-1), label_smoothing=smoothing)
        given = {
            "input_ids": source,
            "attention_mask": source_mask,
            "decoder_input_ids": target,
            "decoder_attention_mask": target_mask,
            "labels": labels,
        }
        found = {"logits": logits, "context": context, "loss": loss}
        found |= {f"weights/{path}": x for path, x in {**tables, **head, **weights(model)}.items()}
        found |= {f"given/{name}": x for name, x in given.items()}
        arrays = {name: x.detach().numpy() for name, x in found.items()}
        np.savez_compressed(directory / f"{case}.npz", facts=json.dumps(fields), **arrays)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("transformer"))
