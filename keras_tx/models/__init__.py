"""The models, a folder a family, and their registry. A family's public names stand in its `__init__.py`."""

from keras_tx.models import (
    albert,
    bert,
    bigram,
    camembert,
    deberta,
    distilbert,
    electra,
    esm,
    gpt,
    longformer,
    mpnet,
    roberta,
    swin,
    t5,
    transformer,
    vit,
    xlm_roberta,
)
from keras_tx.models.albert import *
from keras_tx.models.bert import *
from keras_tx.models.bigram import *
from keras_tx.models.camembert import *
from keras_tx.models.core.auto import load_pretrained
from keras_tx.models.core.embedding import EmbeddingHead, Projection, TextEmbeddingModel
from keras_tx.models.core.grouped_query import to_grouped_query
from keras_tx.models.core.intermediate import intermediate
from keras_tx.models.core.keras_hub import to_keras_hub
from keras_tx.models.core.registry import create_model, list_models
from keras_tx.models.deberta import *
from keras_tx.models.distilbert import *
from keras_tx.models.electra import *
from keras_tx.models.esm import *
from keras_tx.models.gpt import *
from keras_tx.models.longformer import *
from keras_tx.models.mpnet import *
from keras_tx.models.roberta import *
from keras_tx.models.swin import *
from keras_tx.models.t5 import *
from keras_tx.models.transformer import *
from keras_tx.models.vit import *
from keras_tx.models.xlm_roberta import *

__all__ = [
    *albert.__all__,
    *bert.__all__,
    *bigram.__all__,
    *camembert.__all__,
    *deberta.__all__,
    *distilbert.__all__,
    *electra.__all__,
    *esm.__all__,
    *gpt.__all__,
    *longformer.__all__,
    *mpnet.__all__,
    *roberta.__all__,
    *swin.__all__,
    *t5.__all__,
    *transformer.__all__,
    *vit.__all__,
    *xlm_roberta.__all__,
    "EmbeddingHead",
    "Projection",
    "TextEmbeddingModel",
    "create_model",
    "intermediate",
    "list_models",
    "load_pretrained",
    "to_grouped_query",
    "to_keras_hub",
]
