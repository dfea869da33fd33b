"""Who is calling: tokens of the gateway's own, and those that identity providers sign."""
