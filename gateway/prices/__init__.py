"""What models cost: from their manifest, or from the bundled list of public prices.

    price_of   the price of one model, compiled
    private    prices that manifests give
    public     those of genai-prices, whose data comes with the gateway
    listed     what both have in common: a rate that depends on the size of the call
    explain    a bill, put so that people can check it

Nothing here asks the network: a new list of prices comes with a new release.
"""

from gateway.prices.explain import Explanation, explained
from gateway.prices.price_of import Unpriced, price_of

__all__ = ["Explanation", "Unpriced", "explained", "price_of"]
