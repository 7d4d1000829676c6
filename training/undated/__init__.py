"""Behaviours without dates: what is held out at random instead of by time, and what is tuned and learned from it."""
