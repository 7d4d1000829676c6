"""Looks for better settings on validation windows: what is tried, how it is judged, what came of it."""
