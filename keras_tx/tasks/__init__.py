"""Tasks on strings: a model and its tokenizer, trained on labelled texts and asked with texts."""

from keras_tx.tasks.base import Task
from keras_tx.tasks.cross_encoder import CrossEncoderTask, Ranked
from keras_tx.tasks.entities import entity_scores, entity_spans
from keras_tx.tasks.fill_mask import FilledMask, FillMaskTask
from keras_tx.tasks.multiple_choice import Choice, MultipleChoiceTask
from keras_tx.tasks.question_answering import Answer, QuestionAnsweringTask
from keras_tx.tasks.rows import align_labels
from keras_tx.tasks.spans import best_spans
from keras_tx.tasks.squad import answer_f1, exact_match, normalize_answer, squad_scores
from keras_tx.tasks.text_classification import Label, TextClassificationTask
from keras_tx.tasks.text_embedding import SearchResults, TextEmbeddingTask
from keras_tx.tasks.token_classification import Entity, TokenClassificationTask
from keras_tx.tasks.zero_shot import ZeroShotClassificationTask

__all__ = [
    "Answer",
    "Choice",
    "CrossEncoderTask",
    "Entity",
    "FillMaskTask",
    "FilledMask",
    "Label",
    "MultipleChoiceTask",
    "QuestionAnsweringTask",
    "Ranked",
    "SearchResults",
    "Task",
    "TextClassificationTask",
    "TextEmbeddingTask",
    "TokenClassificationTask",
    "ZeroShotClassificationTask",
    "align_labels",
    "answer_f1",
    "best_spans",
    "entity_scores",
    "entity_spans",
    "exact_match",
    "normalize_answer",
    "squad_scores",
]
