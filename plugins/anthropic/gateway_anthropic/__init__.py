"""Anthropic's Messages API: a provider, and a translator that others who speak it may use."""
