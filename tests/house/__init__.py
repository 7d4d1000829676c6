"""Tests of what stands around the code: documentation, images, rules."""
