"""Services: what has state and a lifetime. Composed by ``backend.app`` and ``backend.worker``."""
