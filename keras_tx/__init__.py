"""Transformers as Keras 3 layers and models.

Every public name can be had from here; the module that holds it is imported when it is first asked for, so that
`import keras_tx` costs nothing and brings in no backend.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING

from wrapt import when_imported

from keras_tx.version import __version__ as __version__

_FOLDERS = (
    "ops",
    "layers",
    "generation",
    "convert",
    "models",
    "text",
    "vision",
    "training",
    "tasks",
    "export",
    "analysis",
)

_PUBLIC = {
    "layers": """AttentionConfig BlockSparse BlockSparseAttention CrossAttention DropPath Experts FeedForward GEGLU
        GroupedQuery GroupedQueryAttention Latent LatentAttention LayerScale Linear LinearAttention Linformer
        LinformerAttention MixtureOfExperts MultiHead MultiHeadAttention MultiQuery MultiQueryAttention Nystrom
        NystromAttention PatchEmbedding PatchMerging PositionalEncoding PositionEmbedding PyramidDecoder
        QueryDecoder ReGLU RelativePosition RelativePositionAttention RotaryPositionalEmbedding
        SimpleFeaturePyramid SlidingWindow SlidingWindowAttention SwiGLU SwinBlock TokenEmbedding
        TransformerBlock TransformerDecoder TransformerEncoder TransformerXL TransformerXLAttention
        WindowAttention""",
    "models": """BERTConfig BERTForMaskedLM BERTForMultipleChoice BERTForNextSentencePrediction BERTForPreTraining
        BERTForQuestionAnswering BERTForSequenceClassification BERTForTokenClassification BERTModel BigramConfig
        BigramModel GPTConfig GPTDoubleHeadsModel GPTForQuestionAnswering GPTForSequenceClassification
        GPTForTokenClassification GPTModel SwinConfig SwinDetectionConfig SwinForMaskedImageModeling
        SwinForObjectDetection SwinForSemanticSegmentation SwinSegmentationConfig SwinTransformer T5Config
        T5EncoderModel T5ForQuestionAnswering T5ForSequenceClassification T5ForTokenClassification T5Model Transformer
        TransformerConfig ViTConfig ViTDetectionConfig ViTForMaskedImageModeling ViTForObjectDetection
        ViTForSemanticSegmentation ViTMAEConfig ViTMAEForPreTraining ViTSegmentationConfig VisionTransformer bert_base
        bert_large create_model gpt2_large gpt2_medium gpt2_small gpt2_xl gpt_char gpt_small list_models
        llama2_13b llama2_70b llama2_7b llama3_2_1b llama3_2_3b llama3_70b llama3_8b
        load_pretrained swin_base_patch4_window12_384 swin_base_patch4_window7_224 swin_large_patch4_window12_384
        swin_large_patch4_window7_224 swin_small_patch4_window7_224 swin_tiny_patch4_window7_224
        swinv2_base_patch4_window16_256 swinv2_base_patch4_window8_256 swinv2_small_patch4_window16_256
        swinv2_small_patch4_window8_256 swinv2_tiny_patch4_window16_256 swinv2_tiny_patch4_window8_256 t5_base
        t5_large t5_small t5_v1_1_base t5_v1_1_large t5_v1_1_small t5_v1_1_xl t5_v1_1_xxl t5_xl t5_xxl
        to_grouped_query transformer_base transformer_big vit_base_patch16_224 vit_base_patch32_224 vit_huge_patch14_224
        vit_large_patch16_224 vit_small_patch16_224 vit_tiny_patch16_224""",
    "generation": "GenerationConfig GenerateOutput",
    "ops": "Rotary RotaryScaling apply_rotary_pos_emb",
    "text": "BPETokenizer CharTokenizer SentencePieceTokenizer WordPieceTokenizer default_text load_tokenizer",
    "vision": "Augmentation ImagePreprocessor load_preprocessor",
    "training": """AveragePrecision BLEU ChrF ExactMatch FineTuning ImageRecipe Perplexity PrefixLM ROUGE Recipe
        ScoreGenerated SpanCorruption TranslationBatches denoising_batches fine_tune freeze_layers mixed_batches
        train_image_classifier train_language_model""",
    "tasks": "MultipleChoiceTask QuestionAnsweringTask TextClassificationTask TokenClassificationTask",
    "export": "export_litert export_onnx export_saved_model",
    "analysis": "attention_rollout",
}
_HOME = {name: module for module, names in _PUBLIC.items() for name in names.split()}

__all__ = sorted(_HOME)

if TYPE_CHECKING:
    from keras_tx.analysis import attention_rollout as attention_rollout
    from keras_tx.export import export_litert as export_litert
    from keras_tx.export import export_onnx as export_onnx
    from keras_tx.export import export_saved_model as export_saved_model
    from keras_tx.generation import GenerateOutput as GenerateOutput
    from keras_tx.generation import GenerationConfig as GenerationConfig
    from keras_tx.layers import *  # noqa: F403
    from keras_tx.models import *  # noqa: F403
    from keras_tx.ops import Rotary as Rotary
    from keras_tx.ops import RotaryScaling as RotaryScaling
    from keras_tx.ops import apply_rotary_pos_emb as apply_rotary_pos_emb
    from keras_tx.tasks import *  # noqa: F403
    from keras_tx.text import *  # noqa: F403
    from keras_tx.training import *  # noqa: F403
    from keras_tx.vision import *  # noqa: F403


_complete: set[str] = set()


def _register(module) -> None:
    """Makes our classes known to Keras as soon as there is Keras, so that it can load `.keras` files that hold them.

    Keras is often first imported by a module of ours, which has to be complete before others can import from it.
    """
    _complete.add(module.__name__)
    begun = {name for name in _REGISTERING if name in sys.modules}
    if "keras" in begun and begun <= _complete:
        import_module("keras_tx.models")
        import_module("keras_tx.training.metrics.tokens")
        import_module("keras_tx.training.metrics.texts")


_REGISTERING = ("keras", *(f"keras_tx.{folder}" for folder in _FOLDERS))
for _name in _REGISTERING:
    when_imported(_name)(_register)


def __getattr__(name: str):
    if name not in _HOME:
        raise AttributeError(f"module 'keras_tx' has no attribute {name!r}")
    value = getattr(import_module(f"keras_tx.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
