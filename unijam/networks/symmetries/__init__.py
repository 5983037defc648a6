"""Directions along which no output changes, and the gauge in which weights are kept."""
