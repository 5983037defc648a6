"""Compiled loops of packings: the search for near pairs, lists of them, and their overlaps, forces and matrices."""
