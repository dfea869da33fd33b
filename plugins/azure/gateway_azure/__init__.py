"""Models that Azure serves: Azure OpenAI, Azure AI Foundry, Microsoft Foundry."""
