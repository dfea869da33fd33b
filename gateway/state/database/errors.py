"""Where the errors of databases and their drivers become the gateway's own, and where waiting ends."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, ProgrammingError, SQLAlchemyError, StatementError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from gateway.errors import BadRequest, Conflict, GatewayError, Unavailable, Unexpected
from gateway.state.database.engine import CLOSING

UNREACHABLE = "the database cannot be reached; try again in a moment"
OTHER_SCHEMA = "the database does not have the tables of this version; migrate it first"


@asynccontextmanager
async def border(deadline_s: float) -> AsyncIterator[None]:
    """Around one call to the database.

    Raises:
        Unavailable: it cannot be reached, is too slow, or has no tables yet.
        Conflict: there is such a row already.
        BadRequest: a value cannot be stored.
        Unexpected: it does not understand us.
    """
    try:
        async with asyncio.timeout(deadline_s * (1 - CLOSING)):
            yield
    except OSError as error:  # TimeoutError is one
        raise Unavailable(UNREACHABLE, retry_after_s=1) from error
    except SQLAlchemyError as error:
        raise translated(error) from error
    except OverflowError as error:
        raise BadRequest("a number is out of range") from error


def translated(error: SQLAlchemyError) -> Exception:
    if isinstance(error, PoolTimeout):  # no connection became free
        return Unavailable(UNREACHABLE, retry_after_s=1)
    if isinstance(error, StatementError) and isinstance(error.orig, GatewayError):  # raised by a column's type
        return error.orig
    if not isinstance(error, DBAPIError):
        return Unexpected("the gateway used the database wrongly")
    code = getattr(error.orig, "sqlstate", None) or ""
    if isinstance(error, IntegrityError):
        return Conflict("there is one with the same name, id or digest already")
    if isinstance(error, DataError) or code.startswith("22"):
        return BadRequest("the database cannot store a value; it is of the wrong form or too large")
    if code in ("42P01", "42703") or "no such table" in str(error.orig) or "no such column" in str(error.orig):
        return Unavailable(OTHER_SCHEMA, retry_after_s=1)
    if isinstance(error, ProgrammingError):
        return Unexpected("the database refused a statement of the gateway")
    return Unavailable(UNREACHABLE, retry_after_s=1)
