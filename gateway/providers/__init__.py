"""Vendors: how to speak to each."""
