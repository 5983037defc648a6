"""Reports of studies: tables, captions, checks against reference numbers, JSON."""
