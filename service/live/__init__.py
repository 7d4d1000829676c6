"""What a worker does with the log: fresh candidates, and the archive."""
