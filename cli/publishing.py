"""What the commands that write to Redis share: which Redis, and the publisher's calls."""
