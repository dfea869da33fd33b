"""Formats on the wire, without I/O: bytes in, values out."""
