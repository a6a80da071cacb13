"""Generates text from an exported SavedModel with TensorFlow and nothing else.

python examples/generate_from_saved_model.py runs/quickstart/saved_model/1 "The "
"""

import sys

# TensorFlow imports Keras by itself where it finds it; here it shall not find it.
sys.modules["keras"] = sys.modules["keras_tx"] = None  # type: ignore[assignment]

import tensorflow as tf

if len(sys.argv) != 3:
    sys.exit(__doc__)
model = tf.saved_model.load(sys.argv[1])
# `max_new_tokens`, `temperature`, `top_k`, `top_p` and `seed` have the defaults they were exported with.
answer = model.generate(tf.constant([sys.argv[2]]))
if error := answer["error"][0].numpy().decode():
    sys.exit(error)
print(answer["text"][0].numpy().decode())
