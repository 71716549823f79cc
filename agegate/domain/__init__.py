"""The rules: frozen values and pure functions. No clock, no store, no network."""
