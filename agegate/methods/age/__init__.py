"""Ways of learning an age."""
