"""ElevenLabs, Deepgram, Cartesia and Smallest for clients of OpenAI's audio API, and for their own SDKs."""
