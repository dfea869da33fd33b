"""What signs with keys, as the rest of the plugin sees it."""

from gateway.contract import Upstream, UpstreamRequest


class KeySigner:
    """A `Signer` whose keys AWS may refuse. `is_renewed`: there may be others then."""

    is_renewed = True

    def drop(self) -> None:
        """The next request has other keys fetched, unless some were dropped just before."""
        raise NotImplementedError

    async def sign(self, request: UpstreamRequest, network: Upstream) -> UpstreamRequest:
        raise NotImplementedError
