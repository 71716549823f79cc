"""Ways of proving that a parent answers: 16 CFR 312.5(b)(2)."""
