"""Compiled loops of packings, and what they list."""
