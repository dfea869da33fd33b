"""Embeddings of Nomic."""
