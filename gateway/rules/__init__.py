"""Decisions without I/O: values in, values out; clock and chance are arguments."""
