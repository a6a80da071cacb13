"""Looking inside: pictures of training and of attention."""

from keras_tx.analysis.plots import plot_attention, plot_metric

__all__ = ["plot_attention", "plot_metric"]
