"""The world outside: stores, mail, keys, vendors, files. Only `agegate.bootstrap` imports these."""
