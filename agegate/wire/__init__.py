"""The words that the service and the guard both speak. Imports nothing of ours."""
