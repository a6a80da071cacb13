"""Makes rotary.npz: cosines and sines of every kind of rotary scaling, by Transformers' Llama.

python tests/golden/make_rotary.py        # needs torch and Transformers 5
"""

import json
from pathlib import Path

import numpy as np
import torch
from transformers import LlamaConfig
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

ORIGINAL = 37
LLAMA3 = {"rope_type": "llama3", "low_freq_factor": 1.5, "high_freq_factor": 3.0}
CASES = {
    "default": {"rope_type": "default"},
    "linear": {"rope_type": "linear", "factor": 3.0},
    "dynamic": {"rope_type": "dynamic", "factor": 2.5},
    "yarn": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": ORIGINAL},
    "yarn_blended": {
        "rope_type": "yarn",
        "factor": 5.0,
        "original_max_position_embeddings": ORIGINAL,
        "beta_fast": 9.0,
        "beta_slow": 0.5,
        "attention_factor": 1.3,
        "truncate": False,
    },
    "llama3": {**LLAMA3, "factor": 6.0, "original_max_position_embeddings": ORIGINAL},
}
POSITIONS = {"short": np.array([[0, 1, 5, 20]]), "long": np.array([[0, 36, 37, 101], [3, 4, 88, 90]])}
DIM, BASE = 14, 700.0

arrays = {}
for name, rope in CASES.items():
    config = LlamaConfig(
        hidden_size=3 * DIM,
        num_attention_heads=3,
        head_dim=DIM,
        max_position_embeddings=ORIGINAL if name == "dynamic" else 4 * ORIGINAL,
        rope_parameters={**rope, "rope_theta": BASE},
    )
    for length, positions in POSITIONS.items():
        cos, sin = LlamaRotaryEmbedding(config)(torch.zeros(1), torch.tensor(positions))
        arrays[f"{name}.{length}.cos"], arrays[f"{name}.{length}.sin"] = cos.numpy(), sin.numpy()
arrays |= {f"positions.{length}": positions for length, positions in POSITIONS.items()}
arrays["cases"] = np.array(json.dumps(CASES))
np.savez_compressed(Path(__file__).with_name("rotary.npz"), **arrays)
