"""What is written down of each request, kept in a database, and what all of them together come to.

store = RecordStore("sqlite:///requests.db")
await store.write(records)
page = await store.page(Query(...))
"""
