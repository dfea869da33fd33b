"""The store of tokens, users, manifests and sealed secrets, and of the history of all changes to them.

SQLite or PostgreSQL. It is not in the path of a request: what a request needs is read from here beforehand, again
whenever one of the two counters has grown.

    store = Store("sqlite:///gateway.db")
    async with store.change("user:ana@example.com") as transaction:
        await transaction.put_user("bo@example.com")
"""
