"""Run in a process of its own, on two logical CPUs: trains every head on one replica and on two.

It prints, as JSON, the largest difference in the losses of each, trained and evaluated, and in its weights.
Seven rows in batches of four, with labels that count in few places, leave the replicas with unequal parts.
"""

import dataclasses
import json

import numpy as np
import tensorflow as tf

tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)

import keras  # noqa: E402 - after the devices
from contract import CASES, Case, classes_of, inputs, labels  # noqa: E402

from keras_tx.models.core.masked_images import SelfSupervisedModel  # noqa: E402

ROWS, BATCH = 7, 4
ONE, TWO = tf.distribute.get_strategy(), tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])


def steady(case: Case) -> Case:
    """Without dropout."""
    rates = {field.name: 0.0 for field in dataclasses.fields(case.config) if "drop" in field.name}
    return dataclasses.replace(case, config=case.config.replace(**rates))


def trained(case: Case, strategy, *, among_inputs: bool) -> tuple[list[float], list[np.ndarray]]:
    keras.utils.set_random_seed(1)
    with strategy.scope():
        model = case.make()
        model.compile(keras.optimizers.SGD(0.1), jit_compile=False)
    given, y, rng = inputs(model, ROWS), None, np.random.default_rng(1)
    if case.has_head:
        y = labels(model, given)
        for name, x in classes_of(y).items():
            if x.ndim > 1:
                y[name] = np.where(
                    rng.random(x.shape) < np.linspace(0, 1, ROWS).reshape(-1, *[1] * (x.ndim - 1)), -100, x
                )
    if case.takes("noise"):
        given["noise"] = rng.random((ROWS, np.prod(model.config.grid)), dtype="float32")
    given, y = (given | y, None) if among_inputs and y else (given, y)
    options = {"batch_size": BATCH, "verbose": 0}
    losses = model.fit(given, y, epochs=2, shuffle=False, **options).history["loss"]
    return [*losses, model.evaluate(given, y, **options)], [np.asarray(w.value) for w in model.trainable_weights]


def difference(ours, theirs) -> float:
    return max(float(np.abs(a - b).max()) for a, b in zip(ours, theirs, strict=True))


# Each head once, where the family adds nothing to the loss.
HEADS = {
    getattr(case.cls, "head_class", None): case
    for case in reversed(CASES)
    if case.has_head or issubclass(case.cls, SelfSupervisedModel)
}
found = {}
for i, case in enumerate(map(steady, HEADS.values())):
    one, two = (trained(case, strategy, among_inputs=i % 2 == 0) for strategy in (ONE, TWO))
    found[case.name] = {"losses": difference(one[0], two[0]), "weights": difference(one[1], two[1])}
    print(case.name, one[0], two[0], found[case.name], flush=True)
print(json.dumps(found))
