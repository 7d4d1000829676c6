"""The online side: engines, handlers, the decision and the store, and what puts them together."""
