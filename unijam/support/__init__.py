"""Helpers without physics that every room uses: arrays, checks of arguments, printing, interrupts, progress."""
