"""The steps of the pipeline. Each is one class around any ASGI app, and knows none of the others."""

from gateway.middleware.account import AccountMiddleware
from gateway.middleware.auth import AuthMiddleware
from gateway.middleware.budget import BudgetMiddleware
from gateway.middleware.drain import DrainMiddleware
from gateway.middleware.edge import EdgeMiddleware
from gateway.middleware.errors import ErrorsMiddleware
from gateway.middleware.guard import GuardMiddleware
from gateway.middleware.limit import LimitMiddleware
from gateway.middleware.log import LogMiddleware
from gateway.middleware.model import ModelMiddleware
from gateway.middleware.parse import ParseMiddleware

__all__ = [
    "AccountMiddleware",
    "AuthMiddleware",
    "BudgetMiddleware",
    "DrainMiddleware",
    "EdgeMiddleware",
    "ErrorsMiddleware",
    "GuardMiddleware",
    "LimitMiddleware",
    "LogMiddleware",
    "ModelMiddleware",
    "ParseMiddleware",
]
