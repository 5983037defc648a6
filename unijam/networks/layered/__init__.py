"""Fully connected networks: passes, constraints, compiled evaluators, reduction."""
