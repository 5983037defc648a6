"""Any torch module as a constrained system."""
