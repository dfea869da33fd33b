"""The control API: who there is, what they may do, and the manifests that say so. Below `/api/svc/v1`.

`routes.py` is the table of all routes, each with the permission it takes.
"""
