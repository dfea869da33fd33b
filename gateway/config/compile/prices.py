"""The price of one model."""

from gateway.config.compile.private import private_tariffs
from gateway.contract.price import Price
from gateway.manifests.costs import Cost, PublicCost

PRIVATE = "private"
"""The version of a price that the manifest gives."""


class Unpriced(Exception):
    """The public list does not know the model. The text is for the operator."""


def price_of(cost: Cost | None, account_type: str, model_id: str, discount_percent: float | None) -> Price | None:
    """What a model costs, by its manifest's `cost`; None when it has none, and nobody wants to know.

    Args:
        account_type: of the account's manifest, as in `provider-account/openai`.
        model_id: the provider's own name for it; of a deployment, the name of the model that is deployed.
        discount_percent: the account's.

    Raises:
        Unpriced: it is to cost what the public list says, and that does not know it. Its price is then None: its
            calls cost an unknown amount, not nothing.
    """
    match cost:
        case None:
            return None
        case PublicCost():
            # Takes a quarter of a second and some 20 MiB, which those who have no use for it need not pay.
            from gateway.rules.prices.public import public_price

            price = public_price(account_type, model_id, discount_percent or 0.0)
            if price is None:
                raise Unpriced(
                    f"no public price is known for {model_id!r} of {account_type}: what its calls cost stays unknown. "
                    "Give its price as `cost`, for example with metric per_1000_tokens"
                )
            return price
        case _:
            return Price(
                row=f"{account_type.removeprefix('provider-account/')}/{model_id}",
                version=PRIVATE,
                tariffs=private_tariffs(cost),
                discount_percent=discount_percent or 0.0,
            )
