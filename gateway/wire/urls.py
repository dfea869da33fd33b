"""URLs of databases and of Redis, as people write them: parts of a password may stand anywhere in them."""

from urllib.parse import SplitResult, parse_qsl, urlsplit

ENCODED = "with the characters @ / ? # : of user, password and parameters percent-encoded"


def split_server_url(url: str) -> tuple[SplitResult, dict[str, str]]:
    """The parts of `scheme://user:password@host:port/name?parameter=value`, and its parameters.

    Raises:
        ValueError: it is none, or something in it is not percent-encoded. Its text may hold a part of the password.
    """
    parts = urlsplit(url)
    login, _, hosts = parts.netloc.rpartition("@")
    ports = [urlsplit(f"//{host}").port for host in hosts.split(",")]
    if 0 in ports or "@" in login + parts.path + parts.query or parts.fragment:
        raise ValueError
    return parts, dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)))
