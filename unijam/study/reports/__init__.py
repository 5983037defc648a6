"""What each study says and draws."""
