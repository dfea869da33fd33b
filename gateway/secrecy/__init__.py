"""What must not be seen: secrets as a type, sealed values, tokens and their digests."""
