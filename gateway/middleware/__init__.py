"""The steps of the pipeline. Each is one class around any ASGI app, and knows none of the others."""

from gateway.middleware.account import AccountMiddleware
from gateway.middleware.auth import AuthMiddleware
from gateway.middleware.background import BackgroundMiddleware
from gateway.middleware.budget import BudgetMiddleware
from gateway.middleware.drain import DrainMiddleware
from gateway.middleware.edge import EdgeMiddleware
from gateway.middleware.errors import ErrorsMiddleware
from gateway.middleware.file_references import FileReferencesMiddleware
from gateway.middleware.guard import GuardMiddleware
from gateway.middleware.kept import KeptMiddleware
from gateway.middleware.limit import LimitMiddleware
from gateway.middleware.log import LogMiddleware
from gateway.middleware.model import ModelMiddleware
from gateway.middleware.parse import ParseMiddleware
from gateway.middleware.remember import RememberMiddleware
from gateway.middleware.responses import ContinueMiddleware
from gateway.middleware.session_key import SessionKeyMiddleware

__all__ = [
    "AccountMiddleware",
    "AuthMiddleware",
    "BackgroundMiddleware",
    "BudgetMiddleware",
    "ContinueMiddleware",
    "DrainMiddleware",
    "EdgeMiddleware",
    "ErrorsMiddleware",
    "FileReferencesMiddleware",
    "GuardMiddleware",
    "KeptMiddleware",
    "LimitMiddleware",
    "LogMiddleware",
    "ModelMiddleware",
    "ParseMiddleware",
    "RememberMiddleware",
    "SessionKeyMiddleware",
]
