"""Runs from many starts (replicas) at once."""
