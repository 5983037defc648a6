"""The report of each study: its table, checks and figures."""
