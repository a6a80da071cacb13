"""Images before a model sees them: preprocessing as a checkpoint wants it, augmentation for training."""

from keras_tx.vision.augmentation import Augmentation, augment
from keras_tx.vision.preprocessing import ImagePreprocessor

__all__ = ["Augmentation", "ImagePreprocessor", "augment"]
