"""Everything that is kept in Redis: the only room that talks to it, and the only one that knows its keys."""
