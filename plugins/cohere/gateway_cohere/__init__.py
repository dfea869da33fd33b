"""Cohere's API, version 2: a provider, and translators into its chat and its embeddings."""
