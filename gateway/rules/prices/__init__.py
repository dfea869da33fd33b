"""What models cost by the bundled list of public prices, and how a bill is explained.

    public     the prices of genai-prices, whose data comes with the gateway
    listed     what they have in common with those that manifests give: a rate that depends on the size of the call
    explain    how a bill comes about, so that people can check it

Nothing here asks the network: a new list of prices comes with a new release.
"""
