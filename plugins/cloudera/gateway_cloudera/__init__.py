"""Models that Cloudera AI Inference serves."""
