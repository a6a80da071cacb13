"""`python -m keras_tx.cli` is `keras-tx`."""

from keras_tx.cli.program import main

main()
