"""HTTP in front of the services: a handler parses, makes one service call, and presents."""
