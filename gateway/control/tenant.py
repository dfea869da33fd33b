"""What TrueFoundry's CLI asks before anything else: whose gateway this is, which CLI it takes, and who is calling."""

from typing import Any

from gateway.control.answers import TENANT_NAME, subject
from gateway.control.control import Ask, Control


async def min_cli_version(control: Control, ask: Ask) -> dict[str, Any]:
    """Any will do. Logins, which the CLI would ask an authentication server for, lead back here, where there are none:
    it takes a token with `tfy login --api-key`."""
    return {"minVersion": "0.0.1", "truefoundryCliMinVersion": "0.0.1", "useSFYServerAuthAPIs": True}


async def tenant_id(control: Control, ask: Ask) -> dict[str, Any]:
    """Whatever the host is called: there is one tenant."""
    return {"tenantName": TENANT_NAME, "auth_server_url": ""}


async def session(control: Control, ask: Ask) -> dict[str, Any]:
    """For tokens that the CLI cannot read, which are those that begin with `tfy_`."""
    return {"user": await user_info(control, ask), "tenantInfo": {"tenantName": TENANT_NAME}}


async def user_info(control: Control, ask: Ask) -> dict[str, Any]:
    who = subject(ask.caller.subject)
    return {
        **who,
        "id": ask.caller.subject,
        "effectiveUserId": ask.caller.subject,
        "userName": who["subjectId"],
        "email": who["subjectId"] if "@" in who["subjectId"] else None,
        "tenantName": TENANT_NAME,
        "subject": who,
        "roles": ["admin"] if ask.caller.is_admin else [],
        "teams": [{"id": name, "name": name} for name in sorted(ask.caller.teams)],
        "accounts": [],
    }
