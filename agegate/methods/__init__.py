"""Ways of learning an age and of proving a parent: one module each, none knows another."""
