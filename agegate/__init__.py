"""Age assurance, parental consent and signed age-tier tokens.

`agegate.guard` is the client half.
"""
