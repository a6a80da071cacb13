"""The models, one family a file, and their registry."""

from keras_tx.models.auto import load_pretrained
from keras_tx.models.bert import BERTConfig, BERTModel, bert_base, bert_large
from keras_tx.models.bert_heads import (
    BERTForMaskedLM,
    BERTForMultipleChoice,
    BERTForNextSentencePrediction,
    BERTForPreTraining,
    BERTForQuestionAnswering,
    BERTForSequenceClassification,
    BERTForTokenClassification,
)
from keras_tx.models.bigram import BigramConfig, BigramModel
from keras_tx.models.gpt import (
    GPTConfig,
    GPTModel,
    gpt2_large,
    gpt2_medium,
    gpt2_small,
    gpt2_xl,
    gpt_char,
    gpt_small,
)
from keras_tx.models.gpt_heads import (
    GPTDoubleHeadsModel,
    GPTForQuestionAnswering,
    GPTForSequenceClassification,
    GPTForTokenClassification,
)
from keras_tx.models.registry import create_model, list_models
from keras_tx.models.swin import (
    SwinTransformer,
    swin_base_patch4_window7_224,
    swin_base_patch4_window12_384,
    swin_large_patch4_window7_224,
    swin_large_patch4_window12_384,
    swin_small_patch4_window7_224,
    swin_tiny_patch4_window7_224,
    swinv2_base_patch4_window8_256,
    swinv2_base_patch4_window16_256,
    swinv2_small_patch4_window8_256,
    swinv2_small_patch4_window16_256,
    swinv2_tiny_patch4_window8_256,
    swinv2_tiny_patch4_window16_256,
)
from keras_tx.models.swin_config import SwinConfig
from keras_tx.models.swin_dense import (
    SwinDetectionConfig,
    SwinForObjectDetection,
    SwinForSemanticSegmentation,
    SwinSegmentationConfig,
)
from keras_tx.models.swin_heads import SwinForMaskedImageModeling
from keras_tx.models.vit import (
    VisionTransformer,
    vit_base_patch16_224,
    vit_base_patch32_224,
    vit_huge_patch14_224,
    vit_large_patch16_224,
    vit_small_patch16_224,
    vit_tiny_patch16_224,
)
from keras_tx.models.vit_config import ViTConfig
from keras_tx.models.vit_dense import (
    ViTDetectionConfig,
    ViTForObjectDetection,
    ViTForSemanticSegmentation,
    ViTSegmentationConfig,
)
from keras_tx.models.vit_heads import ViTForMaskedImageModeling, ViTMAEConfig, ViTMAEForPreTraining

__all__ = [
    "BERTConfig",
    "BERTForMaskedLM",
    "BERTForMultipleChoice",
    "BERTForNextSentencePrediction",
    "BERTForPreTraining",
    "BERTForQuestionAnswering",
    "BERTForSequenceClassification",
    "BERTForTokenClassification",
    "BERTModel",
    "BigramConfig",
    "BigramModel",
    "GPTConfig",
    "GPTDoubleHeadsModel",
    "GPTForQuestionAnswering",
    "GPTForSequenceClassification",
    "GPTForTokenClassification",
    "GPTModel",
    "SwinConfig",
    "SwinDetectionConfig",
    "SwinForMaskedImageModeling",
    "SwinForObjectDetection",
    "SwinForSemanticSegmentation",
    "SwinSegmentationConfig",
    "SwinTransformer",
    "ViTConfig",
    "ViTDetectionConfig",
    "ViTForMaskedImageModeling",
    "ViTForObjectDetection",
    "ViTForSemanticSegmentation",
    "ViTMAEConfig",
    "ViTMAEForPreTraining",
    "ViTSegmentationConfig",
    "VisionTransformer",
    "bert_base",
    "bert_large",
    "create_model",
    "gpt2_large",
    "gpt2_medium",
    "gpt2_small",
    "gpt2_xl",
    "gpt_char",
    "gpt_small",
    "list_models",
    "load_pretrained",
    "swin_base_patch4_window7_224",
    "swin_base_patch4_window12_384",
    "swin_large_patch4_window7_224",
    "swin_large_patch4_window12_384",
    "swin_small_patch4_window7_224",
    "swin_tiny_patch4_window7_224",
    "swinv2_base_patch4_window8_256",
    "swinv2_base_patch4_window16_256",
    "swinv2_small_patch4_window8_256",
    "swinv2_small_patch4_window16_256",
    "swinv2_tiny_patch4_window8_256",
    "swinv2_tiny_patch4_window16_256",
    "vit_base_patch16_224",
    "vit_base_patch32_224",
    "vit_huge_patch14_224",
    "vit_large_patch16_224",
    "vit_small_patch16_224",
    "vit_tiny_patch16_224",
]
