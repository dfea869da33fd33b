"""Where counters and tokens are kept."""
