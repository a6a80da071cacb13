"""Linear maps, embeddings, feed-forward networks, dropout."""
