"""Images before a model sees them: preprocessing as a checkpoint wants it, augmentation for training."""

from keras_tx.vision.augmentation import Augmentation, augment
from keras_tx.vision.preprocessing import ImagePreprocessor, load_preprocessor

__all__ = ["Augmentation", "ImagePreprocessor", "augment", "load_preprocessor"]
