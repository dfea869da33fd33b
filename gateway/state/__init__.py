"""What outlives a request: counters, ledger, database, records and alerts."""
