"""Rotates the tokens of virtual accounts that ask for it, into the secret their manifest names."""

from datetime import timedelta

import structlog

from gateway.control.control import Control
from gateway.control.tokens import issue, replace
from gateway.manifests.identity import StoredSecret, VirtualAccount

BY = "gateway"

log = structlog.get_logger(__name__)


async def rotate_due(control: Control) -> list[str]:
    """Makes a token for each virtual account that shall have one in a secret and has none, or one that is too old.

    Returns:
        The names of those virtual accounts.
    """
    names = [account.name for account in control.access.virtual_accounts.values() if _keeps_its_token(account)]
    rotated = [name for name in names if await _rotate(control, name)]
    if rotated:
        await control.changed()
        log.info("tokens rotated", virtual_accounts=rotated)
    return rotated


async def _rotate(control: Control, name: str) -> bool:
    account = control.access.virtual_accounts[name]
    subject = f"virtualaccount:{name}"
    async with control.change(by=BY) as change:
        tokens = [token for token in await change.tokens() if token.subject == subject and token.replaced_by is None]
        newest = max(tokens, key=lambda token: token.created_at, default=None)
        if newest is None:
            await issue(control, change, BY, subject, "auto-rotated", account.token_type, None)
            return True
        rotation = account.auto_rotate
        if rotation is None or control.now() - newest.created_at < timedelta(days=rotation.auto_rotate_interval):
            change.discard()
            return False
        await replace(control, change, BY, newest, timedelta(days=rotation.grace_period))
        return True


def _keeps_its_token(account: VirtualAccount) -> bool:
    return isinstance(account.secret_store_config, StoredSecret) and not account.identity_provider_mapping
