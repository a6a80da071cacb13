"""Looking inside: pictures of training, of attention, and of what image models see."""

from keras_tx.analysis.image_report import report_image_classifier
from keras_tx.analysis.images import (
    attended_patches,
    attended_tokens,
    attention_rollout,
    confusion_matrix,
    plot_confusion_matrix,
    plot_overlays,
    plot_position_similarity,
    position_similarity,
)
from keras_tx.analysis.plots import plot_attention, plot_cross_attention, plot_metric

__all__ = [
    "attended_patches",
    "attended_tokens",
    "attention_rollout",
    "confusion_matrix",
    "plot_attention",
    "plot_confusion_matrix",
    "plot_cross_attention",
    "plot_metric",
    "plot_overlays",
    "plot_position_similarity",
    "position_similarity",
    "report_image_classifier",
]
