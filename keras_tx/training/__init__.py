"""Recipes: data by step number, pre-training rows and masks, optimizers, exact resume, language models, fine-tuning."""

from keras_tx.training.data.batches import ShuffledBatches
from keras_tx.training.data.blocks import random_blocks, whole_stream
from keras_tx.training.data.character import CharacterText
from keras_tx.training.data.documents import Documents, pack, read_documents, split_documents
from keras_tx.training.data.images import LabelledImages, dataset_images, digits, folder_images
from keras_tx.training.data.masked_batches import masked_batches
from keras_tx.training.data.masking import Masking
from keras_tx.training.data.mixtures import MixtureTask, mixed_batches, mixing_rates, text_to_text
from keras_tx.training.data.records import Records, read_records, write_records
from keras_tx.training.data.scenes import Scenes, digit_scenes
from keras_tx.training.data.sentence_pairs import sentence_pairs
from keras_tx.training.data.span_corruption import PrefixLM, SpanCorruption, denoising_batches
from keras_tx.training.data.translation import (
    TranslationBatches,
    TranslationPairs,
    dataset_pairs,
    folder_pairs,
    length_buckets,
    parallel_files,
    tab_separated,
)
from keras_tx.training.metrics.average_precision import AveragePrecision
from keras_tx.training.metrics.texts import BLEU, ROUGE, ChrF, ExactMatch, Perplexity
from keras_tx.training.metrics.tokens import BitsPerToken, LabelAccuracy, MetricsTable, read_table
from keras_tx.training.optim.optimizer import LayerwiseAdamW, adamw
from keras_tx.training.optim.schedules import InverseSquareRoot, LinearDecay
from keras_tx.training.recipes.embeddings import (
    CosineSimilarityLoss,
    MatryoshkaLoss,
    MultipleNegativesRankingLoss,
    TripletLoss,
    fine_tune_embeddings,
)
from keras_tx.training.recipes.finetune import (
    FineTuning,
    compile_for_fine_tuning,
    fine_tune,
    freeze_layers,
    layer_scales,
)
from keras_tx.training.recipes.generated import ScoreGenerated, generate_texts
from keras_tx.training.recipes.images import (
    RECIPES,
    ImageRecipe,
    compile_image_classifier,
    predicted_classes,
    train_image_classifier,
)
from keras_tx.training.recipes.language_model import Recipe, compile_language_model, train_language_model
from keras_tx.training.resume.run import Run
from keras_tx.training.resume.state import Interrupted, SaveState, restore_state, save_state

__all__ = [
    "BLEU",
    "RECIPES",
    "ROUGE",
    "AveragePrecision",
    "BitsPerToken",
    "CharacterText",
    "ChrF",
    "CosineSimilarityLoss",
    "Documents",
    "ExactMatch",
    "FineTuning",
    "ImageRecipe",
    "Interrupted",
    "InverseSquareRoot",
    "LabelAccuracy",
    "LabelledImages",
    "LayerwiseAdamW",
    "LinearDecay",
    "Masking",
    "MatryoshkaLoss",
    "MetricsTable",
    "MixtureTask",
    "MultipleNegativesRankingLoss",
    "Perplexity",
    "PrefixLM",
    "Recipe",
    "Records",
    "Run",
    "SaveState",
    "Scenes",
    "ScoreGenerated",
    "ShuffledBatches",
    "SpanCorruption",
    "TranslationBatches",
    "TranslationPairs",
    "TripletLoss",
    "adamw",
    "compile_for_fine_tuning",
    "compile_image_classifier",
    "compile_language_model",
    "dataset_images",
    "dataset_pairs",
    "denoising_batches",
    "digit_scenes",
    "digits",
    "fine_tune",
    "fine_tune_embeddings",
    "folder_images",
    "folder_pairs",
    "freeze_layers",
    "generate_texts",
    "layer_scales",
    "length_buckets",
    "masked_batches",
    "mixed_batches",
    "mixing_rates",
    "pack",
    "parallel_files",
    "predicted_classes",
    "random_blocks",
    "read_documents",
    "read_records",
    "read_table",
    "restore_state",
    "save_state",
    "sentence_pairs",
    "split_documents",
    "tab_separated",
    "text_to_text",
    "train_image_classifier",
    "train_language_model",
    "whole_stream",
    "write_records",
]
