"""Our jobs against a peer's, side by side on one machine.

    python -m benchmarks train_step
    python -m benchmarks generate --batch-size 8 --a keras_tx:jax --b keras_hub:tensorflow:plain keras_hub:jax --save

The sides take turns, A B A B ..., each turn in a process of its own, so that whatever else the machine does falls on
all of them alike. What is reported is the ratio of the times of one round, never a time by itself.

A job is a module in `benchmarks/jobs`, a peer is a function in it: see `benchmarks/jobs/__init__.py`.
"""
