"""Packings on disk: GSD and LAMMPS."""
