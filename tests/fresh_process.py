"""Run in a process of its own: loads what the contract suite saved in a directory, and writes what it computes.

A case is `NAME.keras`, `NAME.weights.h5`, `NAME.json` (its class and config) and `NAME.npz` (its inputs); the
result is `NAME.BACKEND.npz`: `loaded_I` of the `.keras` file, and `weights_I` of a new model with the weights.
"""

import json
import sys
from pathlib import Path

import keras
import numpy as np
from contract import arrays

from keras_tx.models.core.registry import MODELS

for path in sorted(Path(sys.argv[1]).glob("*.keras")):
    given = dict(np.load(path.with_suffix(".npz")))
    saved = json.loads(path.with_suffix(".json").read_text())
    loaded = keras.saving.load_model(path)
    model = MODELS[saved["class"]].cls.from_config(saved["config"])
    model.load_weights(path.with_suffix(".weights.h5"))
    results = {"loaded": arrays(loaded(given)), "weights": arrays(model(given))}
    named = {f"{kind}_{i}": x for kind, result in results.items() for i, x in enumerate(result)}
    np.savez(path.with_suffix(f".{keras.backend.backend()}.npz"), **named)
