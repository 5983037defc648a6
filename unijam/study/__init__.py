"""What studies say of what was measured: tables, captions, checks against reference numbers, JSON."""
