"""The models, a folder a family, and their registry."""

from keras_tx.models.bert.backbone import BERTBackbone
from keras_tx.models.bert.config import BERTConfig
from keras_tx.models.bert.model import (
    BERTForMaskedLM,
    BERTForMultipleChoice,
    BERTForNextSentencePrediction,
    BERTForPreTraining,
    BERTForQuestionAnswering,
    BERTForSequenceClassification,
    BERTForTokenClassification,
    BERTModel,
)
from keras_tx.models.bert.variants import bert_base, bert_large
from keras_tx.models.bigram.model import BigramConfig, BigramModel
from keras_tx.models.core.auto import load_pretrained
from keras_tx.models.core.grouped_query import to_grouped_query
from keras_tx.models.core.intermediate import intermediate
from keras_tx.models.core.keras_hub import to_keras_hub
from keras_tx.models.core.registry import create_model, list_models
from keras_tx.models.distilbert.backbone import DistilBertBackbone
from keras_tx.models.distilbert.config import DistilBertConfig
from keras_tx.models.distilbert.model import (
    DistilBertForMaskedLM,
    DistilBertForMultipleChoice,
    DistilBertForQuestionAnswering,
    DistilBertForSequenceClassification,
    DistilBertForTokenClassification,
    DistilBertModel,
)
from keras_tx.models.distilbert.variants import distilbert_base
from keras_tx.models.gpt.backbone import GPTBackbone
from keras_tx.models.gpt.config import GPTConfig
from keras_tx.models.gpt.model import (
    GPTDoubleHeadsModel,
    GPTForQuestionAnswering,
    GPTForSequenceClassification,
    GPTForTokenClassification,
    GPTModel,
)
from keras_tx.models.gpt.variants import (
    gpt2_large,
    gpt2_medium,
    gpt2_small,
    gpt2_xl,
    gpt_char,
    gpt_small,
    llama2_7b,
    llama2_13b,
    llama2_70b,
    llama3_2_1b,
    llama3_2_3b,
    llama3_8b,
    llama3_70b,
)
from keras_tx.models.roberta.backbone import RobertaBackbone
from keras_tx.models.roberta.config import RobertaConfig
from keras_tx.models.roberta.model import (
    RobertaForMaskedLM,
    RobertaForMultipleChoice,
    RobertaForQuestionAnswering,
    RobertaForSequenceClassification,
    RobertaForTokenClassification,
    RobertaModel,
)
from keras_tx.models.roberta.variants import roberta_base, roberta_large
from keras_tx.models.swin.backbone import SwinBackbone
from keras_tx.models.swin.config import SwinConfig
from keras_tx.models.swin.dense import (
    SwinDetectionConfig,
    SwinForObjectDetection,
    SwinForSemanticSegmentation,
    SwinSegmentationConfig,
)
from keras_tx.models.swin.model import SwinTransformer
from keras_tx.models.swin.pretraining import SwinForMaskedImageModeling
from keras_tx.models.swin.variants import (
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
from keras_tx.models.t5.backbone import T5Backbone, T5EncoderModel
from keras_tx.models.t5.config import T5Config
from keras_tx.models.t5.model import (
    T5ForQuestionAnswering,
    T5ForSequenceClassification,
    T5ForTokenClassification,
    T5Model,
)
from keras_tx.models.t5.variants import (
    t5_base,
    t5_large,
    t5_small,
    t5_v1_1_base,
    t5_v1_1_large,
    t5_v1_1_small,
    t5_v1_1_xl,
    t5_v1_1_xxl,
    t5_xl,
    t5_xxl,
)
from keras_tx.models.transformer.backbone import TransformerBackbone
from keras_tx.models.transformer.config import TransformerConfig
from keras_tx.models.transformer.model import Transformer
from keras_tx.models.transformer.variants import transformer_base, transformer_big
from keras_tx.models.vit.backbone import ViTBackbone
from keras_tx.models.vit.config import ViTConfig
from keras_tx.models.vit.dense import (
    ViTDetectionConfig,
    ViTForObjectDetection,
    ViTForSemanticSegmentation,
    ViTSegmentationConfig,
)
from keras_tx.models.vit.mae import ViTMAEConfig
from keras_tx.models.vit.model import VisionTransformer
from keras_tx.models.vit.pretraining import ViTForMaskedImageModeling, ViTMAEForPreTraining
from keras_tx.models.vit.variants import (
    vit_base_patch16_224,
    vit_base_patch32_224,
    vit_huge_patch14_224,
    vit_large_patch16_224,
    vit_small_patch16_224,
    vit_tiny_patch16_224,
)

__all__ = [
    "BERTBackbone",
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
    "DistilBertBackbone",
    "DistilBertConfig",
    "DistilBertForMaskedLM",
    "DistilBertForMultipleChoice",
    "DistilBertForQuestionAnswering",
    "DistilBertForSequenceClassification",
    "DistilBertForTokenClassification",
    "DistilBertModel",
    "GPTBackbone",
    "GPTConfig",
    "GPTDoubleHeadsModel",
    "GPTForQuestionAnswering",
    "GPTForSequenceClassification",
    "GPTForTokenClassification",
    "GPTModel",
    "RobertaBackbone",
    "RobertaConfig",
    "RobertaForMaskedLM",
    "RobertaForMultipleChoice",
    "RobertaForQuestionAnswering",
    "RobertaForSequenceClassification",
    "RobertaForTokenClassification",
    "RobertaModel",
    "SwinBackbone",
    "SwinConfig",
    "SwinDetectionConfig",
    "SwinForMaskedImageModeling",
    "SwinForObjectDetection",
    "SwinForSemanticSegmentation",
    "SwinSegmentationConfig",
    "SwinTransformer",
    "T5Backbone",
    "T5Config",
    "T5EncoderModel",
    "T5ForQuestionAnswering",
    "T5ForSequenceClassification",
    "T5ForTokenClassification",
    "T5Model",
    "Transformer",
    "TransformerBackbone",
    "TransformerConfig",
    "ViTBackbone",
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
    "distilbert_base",
    "gpt2_large",
    "gpt2_medium",
    "gpt2_small",
    "gpt2_xl",
    "gpt_char",
    "gpt_small",
    "intermediate",
    "list_models",
    "llama2_7b",
    "llama2_13b",
    "llama2_70b",
    "llama3_2_1b",
    "llama3_2_3b",
    "llama3_8b",
    "llama3_70b",
    "load_pretrained",
    "roberta_base",
    "roberta_large",
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
    "t5_base",
    "t5_large",
    "t5_small",
    "t5_v1_1_base",
    "t5_v1_1_large",
    "t5_v1_1_small",
    "t5_v1_1_xl",
    "t5_v1_1_xxl",
    "t5_xl",
    "t5_xxl",
    "to_grouped_query",
    "to_keras_hub",
    "transformer_base",
    "transformer_big",
    "vit_base_patch16_224",
    "vit_base_patch32_224",
    "vit_huge_patch14_224",
    "vit_large_patch16_224",
    "vit_small_patch16_224",
    "vit_tiny_patch16_224",
]
