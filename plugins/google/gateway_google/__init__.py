"""Models that Google serves: the Gemini API, and Vertex AI with the models of other publishers."""
