"""Use cases: one public method each, one transaction each."""
