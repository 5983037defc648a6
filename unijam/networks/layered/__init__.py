"""The parts of fully connected networks: passes, constraints, evaluators, reduction."""
