"""What callers have made at accounts: in memory, or in the database with a small memory before it."""

from gateway.state.objects.memory import MemoryObjects
from gateway.state.objects.stored import StoredObjects

__all__ = ["MemoryObjects", "StoredObjects"]
