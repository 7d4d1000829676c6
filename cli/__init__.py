"""The command line ``dangol`` and its demo."""
