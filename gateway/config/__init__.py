"""Manifests -> the snapshot in force, and how a newer one takes its place."""
