"""Records of requests in ClickHouse: a sink."""
