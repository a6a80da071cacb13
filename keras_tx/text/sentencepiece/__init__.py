"""SentencePiece: unigram and BPE models."""
