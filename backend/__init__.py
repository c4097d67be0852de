"""Kino: a plugin-architected backend service for generative media."""

__version__ = "0.1.0"
