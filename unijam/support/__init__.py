"""What every room uses and no physics: arrays, validation at the border, printing, interrupts, progress."""
