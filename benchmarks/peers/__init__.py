"""What people would write instead of Dangol, written well, to be measured beside it."""
