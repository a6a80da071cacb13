"""Generates text from an exported SavedModel with TensorFlow and nothing else.

python examples/generate_from_saved_model.py runs/quickstart/saved_model/1 "The "
"""

import sys

import tensorflow as tf

if len(sys.argv) != 3:
    sys.exit(__doc__)
generate = tf.saved_model.load(sys.argv[1]).signatures["generate"]
text = generate(tf.constant([sys.argv[2]]))["text"]
print(text[0].numpy().decode())

others = {name.partition(".")[0] for name in sys.modules} & {"keras", "keras_tx", "tf_keras"}
if others:
    sys.exit(f"this process was to import TensorFlow alone, but has {', '.join(sorted(others))} too")
