"""What carries bytes between callers and the dispatcher."""
