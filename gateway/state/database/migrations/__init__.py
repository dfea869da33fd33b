"""Alembic's environment: `env` and the revisions in `versions`, which have to be listed in `schema.REVISIONS`.

A revision only adds: tables, and columns that are nullable or have a default. A gateway of the version before goes on
working with it while the others are replaced.
"""
