"""Where request records go."""
