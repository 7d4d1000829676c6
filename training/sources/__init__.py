"""Candidate sources: each names items that one customer may want, for a reason of its own."""
