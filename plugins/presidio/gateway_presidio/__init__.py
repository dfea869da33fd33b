"""Microsoft's Presidio as a guardrail: personal data is found by patterns and by models, in processes of their own."""
