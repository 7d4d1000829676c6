"""The offline job: from files of events to an artifact in the registry. It never touches Redis."""
