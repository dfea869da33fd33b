"""The way to providers: the only place that opens connections to them."""
